//! `strftime_now`: the local time, formatted as Python's `datetime.now().strftime`.

use jiff::ZonedDateTime;
use jiff::fmt::strtime;

/// Formats the present time of this machine's time zone.
pub(super) fn now(format: &str) -> Result<String, minijinja::Error> {
    formatted(format, &ZonedDateTime::now())
}

/// Formats a time. As Python's local times know no zone, `%z` and `%Z` are empty.
fn formatted(format: &str, time: &ZonedDateTime) -> Result<String, minijinja::Error> {
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let end = at + directive(&rest[at..]);
        let directive = &rest[at..end];
        rest = &rest[end..];
        match directive.chars().last() {
            Some('z' | 'Z') => {}
            Some('f') => text += &format!("{:06}", time.subsec_nanosecond() / 1000),
            // The C locale's forms.
            Some('c') => text += &formatted("%a %b %e %H:%M:%S %Y", time)?,
            Some('x') => text += &formatted("%m/%d/%y", time)?,
            Some('X') => text += &formatted("%H:%M:%S", time)?,
            Some('r') => text += &formatted("%I:%M:%S %p", time)?,
            // What strftime does not know stays in the text.
            _ => text += &strtime::format(directive, time).unwrap_or_else(|_| directive.to_owned()),
        }
    }
    Ok(text + rest)
}

/// Returns the length of the directive that starts `text`, with the flags and the width of glibc.
fn directive(text: &str) -> usize {
    let is_flag = |c: char| "-_0^#".contains(c) || c.is_ascii_digit() || matches!(c, 'E' | 'O');
    let flags = text[1..].find(|c: char| !is_flag(c)).map_or(text.len() - 1, |flags| flags);
    let letter = text[1 + flags..].chars().next().map_or(0, char::len_utf8);
    1 + flags + letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_python() {
        let time: ZonedDateTime = "2024-02-29T23:05:09.25+01:00[Europe/Berlin]".parse().unwrap();
        let written = |format: &str| formatted(format, &time).unwrap();
        // The expected texts come from `datetime(2024, 2, 29, 23, 5, 9, 250000).strftime(…)`.
        assert_eq!(written("%d %b %Y, %A %B %j"), "29 Feb 2024, Thursday February 060");
        assert_eq!(written("%H:%M:%S.%f %I %p %y"), "23:05:09.250000 11 PM 24");
        assert_eq!(written("[%z%Z] %% %c | %x %X"), "[] % Thu Feb 29 23:05:09 2024 | 02/29/24 23:05:09");
        assert_eq!(written("%-d %e %w %u %U %W %G-W%V"), "29 29 4 4 08 09 2024-W09");
        assert_eq!(written("%F %T %R %D %n%t|"), "2024-02-29 23:05:09 23:05 02/29/24 \n\t|");
        assert_eq!(written("100% é"), "100% é");
    }
}
