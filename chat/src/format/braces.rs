//! `'{}'.format(x)`.

use minijinja::formatting::{FormatStyle, format};
use minijinja::{Error, State, Value};

use super::{bounded, padded};
use crate::arguments::Arguments;
use crate::operators::Number;
use crate::printing::{Text, to_repr, to_text};
use crate::value::error;

/// Computes `template.format(…)`.
pub(crate) fn braces(
    state: &State<'_, '_>,
    template: &str,
    arguments: &mut Arguments<'_>,
) -> Result<Value, Error> {
    let values = Values { positional: arguments.rest(), named: arguments.rest_named(), next: 0 };
    let mut text = Text::new(state);
    expand(state, &mut text, template, &mut { values }, 2)?;
    Ok(text.into_value())
}

struct Values<'a> {
    positional: &'a [Value],
    named: Vec<(String, Value)>,
    next: usize,
}

impl Values<'_> {
    /// Returns the value that a field such as `0[key].name` stands for.
    fn get(&mut self, path: &str) -> Result<Value, Error> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, mut rest) = path.split_at(end);
        let missing = || error(format!("replacement field '{name}' has no argument"));
        let mut value = if name.is_empty() || name.bytes().all(|b| b.is_ascii_digit()) {
            let index = if name.is_empty() { self.next } else { name.parse().map_err(|_| missing())? };
            self.next += usize::from(name.is_empty());
            self.positional.get(index).cloned().ok_or_else(missing)?
        } else {
            let named = self.named.iter().find(|(key, _)| key == name);
            named.map(|(_, value)| value.clone()).ok_or_else(missing)?
        };
        while !rest.is_empty() {
            let found;
            if let Some(after) = rest.strip_prefix('[') {
                let (key, after) =
                    after.split_once(']').ok_or_else(|| error("missing ']' in format string"))?;
                let key = key.parse::<i64>().map_or_else(|_| Value::from(key), Value::from);
                found = value.get_item(&key)?;
                rest = after;
            } else {
                let after = rest.strip_prefix('.').unwrap_or_default();
                let end = after.find(['.', '[']).unwrap_or(after.len());
                // Python's attributes are methods, which are not text.
                found = Value::UNDEFINED;
                rest = &after[end..];
            }
            value = found;
        }
        Ok(value)
    }
}

fn expand(
    state: &State<'_, '_>,
    text: &mut Text,
    template: &str,
    values: &mut Values<'_>,
    levels: usize,
) -> Result<(), Error> {
    let Some(levels) = levels.checked_sub(1) else { return Err(error("max string recursion exceeded")) };
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        text.push(before)?;
        if brace.starts_with("{{") || brace.starts_with("}}") {
            text.push(&brace[..1])?;
            rest = &brace[2..];
            continue;
        }
        let Some(inside) = brace.strip_prefix('{') else {
            return Err(error("single '}' encountered in format string"));
        };
        let end = closing(inside).ok_or_else(|| error("expected '}' before end of string"))?;
        let (field, after) = (&inside[..end], &inside[end + 1..]);
        rest = after;
        let (name, spec) = field.split_once(':').unwrap_or((field, ""));
        let (path, conversion) = name.split_once('!').map_or((name, None), |(path, how)| (path, Some(how)));
        let value = values.get(path)?;
        let value = match conversion {
            None => value,
            Some("s") => Value::from(to_text(state, &value)?),
            Some("r" | "a") => Value::from(to_repr(state, &value)?),
            Some(other) => return Err(error(format!("unknown conversion specifier '{other}'"))),
        };
        let mut full = Text::new(state);
        if spec.contains(['{', '}']) {
            expand(state, &mut full, spec, values, levels)?;
        } else {
            full.push(spec)?;
        }
        text.push(&one(state, full.as_str(), &value)?)?;
    }
    text.push(rest)
}

/// Returns where the brace closes that is open before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    text.char_indices().find_map(|(at, c)| {
        open += usize::from(c == '{');
        open -= usize::from(c == '}');
        (open == 0).then_some(at)
    })
}

/// Formats one value by a specification such as `>8.2f`.
fn one(state: &State<'_, '_>, spec: &str, value: &Value) -> Result<String, Error> {
    if spec.is_empty() {
        return to_text(state, value);
    }
    bounded(state, spec)?;
    if let Some(text) = value.as_str() {
        let spec = spec.strip_suffix('s').unwrap_or(spec);
        let (fill, align, spec) = alignment(spec);
        return padded(state, text, fill, align, spec);
    }
    let Some(number) = Number::of(value) else {
        return Err(error("unsupported format string for this type"));
    };
    let value = match number {
        Number::Int(int) => &Value::from(int),
        Number::Float(_) => value,
    };
    if let Some(spec) = spec.strip_suffix('%') {
        let percent = Value::from(number.float() * 100.0);
        let format_spec =
            if spec.contains('.') { format!("{{:{spec}f}}") } else { format!("{{:{spec}.6f}}") };
        return Ok(format(FormatStyle::StrFormat, &format_spec, &[percent])? + "%");
    }
    format(FormatStyle::StrFormat, &format!("{{:{spec}}}"), std::slice::from_ref(value))
}

/// Splits `*^9.3` into the character that fills, the alignment and the rest.
fn alignment(spec: &str) -> (char, char, &str) {
    let mut chars = spec.chars();
    let (first, second) = (chars.next().unwrap_or(' '), chars.next());
    match second {
        Some(align @ ('<' | '>' | '^')) => (first, align, chars.as_str()),
        _ if matches!(first, '<' | '>' | '^') => (' ', first, &spec[1..]),
        _ => (' ', '<', spec),
    }
}
