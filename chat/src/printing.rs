//! Text of values, as Python's `str` and `repr` write it.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::value::{Dict, Kind, List, MAX_DEPTH, error};

/// Bytes that a text of a template may have.
pub(super) const MAX_TEXT: usize = 32 << 20;
/// Bytes that one unit of fuel pays for, as in minijinja.
const BYTES_PER_FUEL: u64 = 64;

/// A text that may not grow beyond what the template's fuel pays for.
pub(super) struct Text {
    text: String,
    limit: usize,
}

impl Text {
    pub(super) fn new(state: &State<'_, '_>) -> Self {
        let fuel = state.fuel_levels().map_or(u64::MAX, |(_, remaining)| remaining);
        let limit = fuel.saturating_mul(BYTES_PER_FUEL).min(MAX_TEXT as u64) as usize;
        Text { text: String::new(), limit }
    }

    pub(super) fn push(&mut self, piece: &str) -> Result<(), Error> {
        self.reserve(piece.len())?;
        self.text.push_str(piece);
        Ok(())
    }

    pub(super) fn repeat(&mut self, piece: &str, times: usize) -> Result<(), Error> {
        self.reserve(piece.len().saturating_mul(times))?;
        (0..times).for_each(|_| self.text.push_str(piece));
        Ok(())
    }

    fn reserve(&self, bytes: usize) -> Result<(), Error> {
        match self.text.len().checked_add(bytes) {
            Some(len) if len <= self.limit => Ok(()),
            _ => Err(Error::from(ErrorKind::OutOfFuel)),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    pub(super) fn into_value(self) -> Value {
        Value::from(self.text)
    }
}

/// Returns an error if a text of `bytes` would be too long.
pub(super) fn afford(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    Text::new(state).reserve(bytes)
}

/// Takes fuel for work on a text of `bytes`.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes as u64 / BYTES_PER_FUEL)
}

/// Returns Python's `str(value)`.
pub(super) fn to_text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut text = Text::new(state);
    write_text(&mut text, value)?;
    Ok(text.text)
}

/// Writes Python's `str(value)`.
pub(super) fn write_text(text: &mut Text, value: &Value) -> Result<(), Error> {
    match (value.as_str(), value.kind()) {
        (Some(plain), _) => text.push(plain),
        (_, ValueKind::Undefined) => Ok(()),
        _ => write_repr(text, value, MAX_DEPTH),
    }
}

/// Returns Python's `repr(value)`.
pub(super) fn to_repr(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut text = Text::new(state);
    write_repr(&mut text, value, MAX_DEPTH)?;
    Ok(text.text)
}

/// Returns the text of a container where minijinja asks for it without a state, cut if it is long.
pub(super) fn display(value: &Value) -> String {
    let mut text = Text { text: String::new(), limit: MAX_TEXT / 32 };
    // An error is a text that is cut, for instance in minijinja's own messages.
    drop(write_repr(&mut text, value, MAX_DEPTH));
    text.text
}

fn write_repr(text: &mut Text, value: &Value, levels: usize) -> Result<(), Error> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(error("maximum recursion depth exceeded while printing a value"));
    };
    if let Some(plain) = value.as_str() {
        return write_quoted(text, plain);
    }
    if let Some(list) = value.downcast_object_ref::<List>() {
        let (open, close) = match (list.kind, list.items.len()) {
            (Kind::Range(start, stop, 1), _) => return text.push(&format!("range({start}, {stop})")),
            (Kind::Range(start, stop, step), _) => {
                return text.push(&format!("range({start}, {stop}, {step})"));
            }
            (Kind::List, _) => ("[".to_owned(), "]"),
            (Kind::Tuple | Kind::Group, 1) => ("(".to_owned(), ",)"),
            (Kind::Tuple | Kind::Group, _) => ("(".to_owned(), ")"),
            (Kind::View(name), _) => (format!("{name}(["), "])"),
        };
        text.push(&open)?;
        for (index, item) in list.items.iter().enumerate() {
            text.push(if index == 0 { "" } else { ", " })?;
            write_repr(text, item, levels)?;
        }
        return text.push(close);
    }
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        return write_pairs(
            text,
            "{",
            dict.map.iter().map(|(key, value)| (key.clone(), value.clone())),
            levels,
            "}",
        );
    }
    match value.kind() {
        ValueKind::Undefined => text.push("Undefined"),
        ValueKind::Number if !value.is_integer() => text.push(&float(value)),
        ValueKind::Map => match value.as_object().and_then(|object| object.try_iter_pairs()) {
            Some(pairs) => {
                let is_namespace = !value.is_kwargs();
                let (open, close) = if is_namespace { ("<Namespace {", "}>") } else { ("{", "}") };
                write_pairs(text, open, pairs, levels, close)
            }
            None => text.push(&value.to_string()),
        },
        _ => text.push(&value.to_string()),
    }
}

fn write_pairs(
    text: &mut Text,
    open: &str,
    pairs: impl Iterator<Item = (Value, Value)>,
    levels: usize,
    close: &str,
) -> Result<(), Error> {
    text.push(open)?;
    for (index, (key, value)) in pairs.enumerate() {
        text.push(if index == 0 { "" } else { ", " })?;
        write_repr(text, &key, levels)?;
        text.push(": ")?;
        write_repr(text, &value, levels)?;
    }
    text.push(close)
}

/// Returns the shortest digits that stand for a float, in Python's notation.
pub(super) fn float(value: &Value) -> String {
    let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
    if number.is_nan() {
        return "nan".to_owned();
    }
    // Rust's limits of the exponential notation are Python's; the exponent's sign and digits are not.
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

fn write_quoted(text: &mut Text, plain: &str) -> Result<(), Error> {
    let quote = if plain.contains('\'') && !plain.contains('"') { '"' } else { '\'' };
    let mut quoted = String::with_capacity(plain.len() + 2);
    quoted.push(quote);
    for c in plain.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == quote => quoted.extend(['\\', c]),
            c if is_printable(c) => quoted.push(c),
            // Writing to a string cannot fail.
            c => drop(match c as u32 {
                code @ ..=0xff => write!(quoted, "\\x{code:02x}"),
                code @ ..=0xffff => write!(quoted, "\\u{code:04x}"),
                code => write!(quoted, "\\U{code:08x}"),
            }),
        }
    }
    quoted.push(quote);
    text.push(&quoted)
}

/// Returns whether Python prints the character as it is: not controls, separators other than the space, formats,
/// private use and code points without a character.
pub(super) fn is_printable(c: char) -> bool {
    use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};
    c == ' '
        || !matches!(
            c.general_category(),
            Category::Control
                | Category::Format
                | Category::Surrogate
                | Category::PrivateUse
                | Category::Unassigned
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::SpaceSeparator
        )
}
