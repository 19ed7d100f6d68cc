//! Python's two ways to format: `'%s' % x` and `'{}'.format(x)`. minijinja formats single values.

use minijinja::formatting::{FormatStyle, format};
use minijinja::{Error, State, Value};

use super::arguments::{Arguments, integer};
use super::operators::Number;
use super::printing::{Text, afford, to_repr, to_text};
use super::value::{Dict, Kind, List, error};

/// Computes `template % values`.
pub(super) fn percent(state: &State<'_, '_>, template: &Value, values: &Value) -> Result<Value, Error> {
    let template = template.as_str().unwrap_or_default();
    let dict = values.downcast_object_ref::<Dict>();
    // Python leaves values without a field in lists and dicts, but not in tuples and alone.
    let is_tuple = values.downcast_object_ref::<List>().is_some_and(|list| list.kind == Kind::Tuple);
    let may_be_left = values.is_undefined() || values.as_object().is_some() && !is_tuple;
    let values = match values.downcast_object_ref::<List>() {
        Some(list) if list.kind == Kind::Tuple => list.items.as_slice(),
        _ => std::slice::from_ref(values),
    };
    let mut values = values.iter();
    let mut next = || values.next().ok_or_else(|| error("not enough arguments for format string"));
    let mut text = Text::new(state);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        text.push(before)?;
        let (field, after) = PercentField::parse(after)?;
        rest = after;
        if field.conversion == '%' {
            text.push("%")?;
            continue;
        }
        let mut spec = field.flags;
        for part in [field.width, field.precision] {
            if part == "*" || part == ".*" {
                spec += part.trim_end_matches('*');
                spec += &integer(next()?)?.to_string();
            } else {
                spec += part;
            }
        }
        let value = match (field.key, dict) {
            (Some(key), Some(dict)) => {
                dict.get(&Value::from(key)).ok_or_else(|| error(format!("KeyError: '{key}'")))?
            }
            (Some(_), None) => return Err(error("format requires a mapping")),
            (None, _) => next()?,
        };
        text.push(&percent_value(state, &spec, field.conversion, value)?)?;
    }
    text.push(rest)?;
    if !may_be_left && values.next().is_some() {
        return Err(error("not all arguments converted during string formatting"));
    }
    Ok(text.into_value())
}

fn percent_value(
    state: &State<'_, '_>,
    spec: &str,
    conversion: char,
    value: &Value,
) -> Result<String, Error> {
    let (value, conversion) = match conversion {
        's' => (Value::from(to_text(state, value)?), 's'),
        'r' | 'a' => (Value::from(to_repr(state, value)?), 's'),
        'd' | 'i' | 'u' => match Number::of(value) {
            Some(Number::Int(int)) => (Value::from(int), 'd'),
            Some(Number::Float(float)) if float.is_finite() => (Value::from(float.trunc() as i128), 'd'),
            _ => return Err(error("%d format: a real number is required")),
        },
        'c' => match value.as_str() {
            Some(_) => (value.clone(), 's'),
            None => {
                let code = u32::try_from(integer(value)?).ok().and_then(char::from_u32);
                (Value::from(code.ok_or_else(|| error("%c arg not in range"))?.to_string()), 's')
            }
        },
        _ => (value.clone(), conversion),
    };
    bounded(state, spec)?;
    if conversion == 's' {
        let spec = spec.trim_start_matches(['0', '#', '+', ' ']);
        let (align, spec) = spec
            .strip_prefix('-')
            .map_or(('>', spec), |rest| ('<', rest.trim_start_matches(['-', '0', '#', '+', ' '])));
        return padded(state, value.as_str().unwrap_or_default(), ' ', align, spec);
    }
    format(FormatStyle::Printf, &format!("%{spec}{conversion}"), &[value])
}

/// One field of a template for `%`: `%(key)-8.3f`.
struct PercentField<'a> {
    key: Option<&'a str>,
    flags: String,
    width: &'a str,
    precision: &'a str,
    conversion: char,
}

impl<'a> PercentField<'a> {
    fn parse(mut rest: &'a str) -> Result<(Self, &'a str), Error> {
        let mut key = None;
        if let Some(after) = rest.strip_prefix('(') {
            let (name, after) = after.split_once(')').ok_or_else(|| error("incomplete format key"))?;
            (key, rest) = (Some(name), after);
        }
        let mut take = |pattern: &dyn Fn(char) -> bool| {
            let end = rest.find(|c| !pattern(c)).unwrap_or(rest.len());
            let (taken, after) = rest.split_at(end);
            rest = after;
            taken
        };
        let flags = take(&|c| "#0- +".contains(c)).to_owned();
        let width = take(&|c| c.is_ascii_digit() || c == '*');
        let precision = take(&|c| c.is_ascii_digit() || c == '*' || c == '.');
        take(&|c| "hlL".contains(c));
        let conversion = rest.chars().next().ok_or_else(|| error("incomplete format"))?;
        let field = PercentField { key, flags, width, precision, conversion };
        Ok((field, &rest[conversion.len_utf8()..]))
    }
}

/// Returns an error if a width or precision in `spec` asks for a text that is too long.
fn bounded(state: &State<'_, '_>, spec: &str) -> Result<(), Error> {
    for digits in spec.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()) {
        afford(state, digits.parse::<usize>().unwrap_or(usize::MAX).saturating_mul(4))?;
    }
    Ok(())
}

/// Computes `template.format(…)`.
pub(super) fn braces(
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

/// Cuts a text to a precision and pads it to a width. `measures` is both, such as `9.3`.
fn padded(
    state: &State<'_, '_>,
    text: &str,
    fill: char,
    align: char,
    measures: &str,
) -> Result<String, Error> {
    let (width, precision) = measures.split_once('.').unwrap_or((measures, ""));
    let number = |digits: &str, default: usize| match digits {
        "" => Ok(default),
        digits => {
            digits.parse::<usize>().map_err(|_| error(format!("invalid format specifier '{measures}'")))
        }
    };
    let cut = number(precision, usize::MAX)?;
    let end = text.char_indices().nth(cut).map_or(text.len(), |(at, _)| at);
    let text = &text[..end];
    let missing = number(width, 0)?.saturating_sub(text.chars().count());
    let left = match align {
        '>' => missing,
        '^' => missing / 2,
        _ => 0,
    };
    let fill = fill.to_string();
    let mut padded = Text::new(state);
    padded.repeat(&fill, left)?;
    padded.push(text)?;
    padded.repeat(&fill, missing - left)?;
    Ok(padded.into_string())
}
