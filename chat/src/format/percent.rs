//! `'%s' % x`.

use minijinja::formatting::{FormatStyle, format};
use minijinja::{Error, State, Value};

use super::{bounded, padded};
use crate::arguments::integer;
use crate::operators::Number;
use crate::printing::{Text, to_repr, to_text};
use crate::value::{Dict, Kind, List, error};

/// Computes `template % values`.
pub(crate) fn percent(state: &State<'_, '_>, template: &Value, values: &Value) -> Result<Value, Error> {
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
