//! Texts in parts, as `str.strip`, `str.split` and `str.splitlines` see them.

use minijinja::Error;

use crate::unicode::is_space;
use crate::value::error;

pub(super) fn strip<'a>(text: &'a str, characters: Option<&str>, name: &str) -> &'a str {
    let drop = |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    let text = if name == "rstrip" { text } else { text.trim_start_matches(drop) };
    if name == "lstrip" { text } else { text.trim_end_matches(drop) }
}

pub(super) fn split<'a>(
    text: &'a str,
    separator: Option<&str>,
    most: usize,
    last: bool,
) -> Result<Vec<&'a str>, Error> {
    match separator {
        Some("") => Err(error("empty separator")),
        Some(separator) if last => {
            let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
            parts.reverse();
            Ok(parts)
        }
        Some(separator) => Ok(text.splitn(most.saturating_add(1), separator).collect()),
        None => Ok(split_spaces(text, most, last)),
    }
}

fn split_spaces(text: &str, most: usize, last: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = strip(rest, None, if last { "rstrip" } else { "lstrip" });
        if rest.is_empty() {
            break;
        }
        let cut = if last { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = cut.filter(|_| parts.len() < most) else {
            parts.push(strip(rest, None, if last { "lstrip" } else { "rstrip" }));
            if parts.len() <= most {
                break;
            }
            // The part that is left over keeps the spaces at its far end.
            parts.pop();
            parts.push(rest);
            break;
        };
        let width = rest[at..].chars().next().map_or(0, char::len_utf8);
        let (part, after) =
            if last { (&rest[at + width..], &rest[..at]) } else { (&rest[..at], &rest[at..]) };
        parts.push(part);
        rest = after;
    }
    if last {
        parts.reverse();
    }
    parts
}

pub(crate) fn split_lines(text: &str, keep: bool) -> Vec<&str> {
    const ENDS: [char; 10] =
        ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ENDS) {
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(&rest[..if keep { end } else { at }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}
