//! Texts with spaces around or within them.

use minijinja::{Error, State, Value};

use crate::printing::Text;
use crate::value::error;

pub(super) fn pad(
    state: &State<'_, '_>,
    text: &str,
    name: &str,
    width: i128,
    fill: &str,
) -> Result<Value, Error> {
    if fill.chars().count() != 1 {
        return Err(error("The fill character must be exactly one character long"));
    }
    let len = text.chars().count();
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(len);
    // CPython puts the odd space of a centred text to the left if the width is odd.
    let left = match name {
        "ljust" => 0,
        "center" => missing / 2 + (missing & width & 1),
        _ => missing,
    };
    let signed = name == "zfill" && text.starts_with(['+', '-']);
    let (sign, text) = if signed { text.split_at(1) } else { ("", text) };
    let mut padded = Text::new(state);
    padded.push(sign)?;
    padded.repeat(fill, left)?;
    padded.push(text)?;
    padded.repeat(fill, missing - left)?;
    Ok(padded.into_value())
}

/// `text.center(width)`.
pub(crate) fn center(state: &State<'_, '_>, text: &str, width: i128) -> Result<Value, Error> {
    pad(state, text, "center", width, " ")
}

pub(super) fn expand_tabs(state: &State<'_, '_>, text: &str, size: usize) -> Result<Value, Error> {
    let mut expanded = Text::new(state);
    let mut column = 0;
    for c in text.chars() {
        if c == '\t' {
            let spaces = if size == 0 { 0 } else { size - column % size };
            expanded.repeat(" ", spaces)?;
            column += spaces;
        } else {
            expanded.push(c.encode_utf8(&mut [0; 4]))?;
            column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    Ok(expanded.into_value())
}
