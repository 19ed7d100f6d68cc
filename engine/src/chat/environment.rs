//! The Jinja environment of chat templates: Python's behaviour and the functions that transformers adds.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::filters::tojson;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};

/// Returns an environment without templates.
pub(super) fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", plain_json);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", |format: &str| strftime(format, seconds_now()));
    environment
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Writes JSON as Python does. Jinja's own filter also escapes characters that are special in HTML.
fn plain_json(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let json = tojson(value, indent, options)?.to_string();
    let mut plain = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        // An escape has two characters, or six as in `\u003c`. Four of the long escapes are undone.
        let escaped = match escape.get(..6) {
            Some("\\u003c") => Some("<"),
            Some("\\u003e") => Some(">"),
            Some("\\u0026") => Some("&"),
            Some("\\u0027") => Some("'"),
            _ => None,
        };
        let (escape, after) =
            escape.split_at_checked(if escaped.is_some() { 6 } else { 2 }).unwrap_or((escape, ""));
        plain.extend([before, escaped.unwrap_or(escape)]);
        rest = after;
    }
    plain.push_str(rest);
    Ok(Value::from(plain))
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Formats the UTC time `seconds` after 1970 with the directives of `strftime` that templates use.
///
/// Unknown directives stay in the text.
fn strftime(format: &str, seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let weekday = WEEKDAYS[(seconds / 86_400 + 4) as usize % 7];
    let month_name = MONTHS[month as usize - 1];
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(c) = characters.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match characters.next() {
            Some('Y') => text += &year.to_string(),
            Some('y') => text += &format!("{:02}", year % 100),
            Some('m') => text += &format!("{month:02}"),
            Some('d') => text += &format!("{day:02}"),
            Some('B') => text += month_name,
            Some('b') => text += &month_name[..3],
            Some('A') => text += weekday,
            Some('a') => text += &weekday[..3],
            Some('H') => text += &format!("{:02}", of_day / 3600),
            Some('M') => text += &format!("{:02}", of_day / 60 % 60),
            Some('S') => text += &format!("{:02}", of_day % 60),
            Some('%') => text.push('%'),
            other => text.extend(std::iter::once('%').chain(other)),
        }
    }
    text
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Returns year, month and day of the Gregorian calendar, `days` after 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        // The expected texts come from `date -u -d @N`.
        assert_eq!(strftime("%d %b %Y", 1_721_952_000), "26 Jul 2024");
        assert_eq!(strftime("%A %Y-%m-%d %H:%M:%S", 951_868_799), "Tuesday 2000-02-29 23:59:59");
        assert_eq!(strftime("%a %B %y %% %q%", 0), "Thu January 70 % %q%");
        assert_eq!(strftime("%d %m %Y", 4_107_542_400), "01 03 2100");
    }
}
