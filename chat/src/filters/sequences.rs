//! Filters of lists, dicts and other sequences.

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::numbers::parts;
use crate::arguments::Arguments;
use crate::printing::{Text, afford, charge, write_text};
use crate::value::{self, Kind, error, sequence, type_name};

type Outcome = Result<Value, Error>;

pub(super) fn length(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("value")?;
    if let Some(text) = value.as_str() {
        charge(state, text.len())?;
        return Ok(Value::from(text.chars().count()));
    }
    match value.kind() {
        ValueKind::Undefined => Ok(Value::from(0)),
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::Plain => {
            Err(error(format!("object of type '{}' has no len()", type_name(&value))))
        }
        _ => Ok(Value::from(value.len().unwrap_or(0))),
    }
}

pub(super) fn default(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("value")?;
    let default = arguments.or("default_value", "")?;
    let falsy_too = arguments.flag("boolean", false)?;
    Ok(if value.is_undefined() || falsy_too && !value.is_true() { default } else { value })
}

pub(super) fn attr(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let (value, name) = (arguments.required("obj")?, arguments.text("name")?);
    // Only attributes of Python's objects count, not items. Those of containers are methods.
    let is_object = value.as_object().is_some() && type_name(&value) == "object";
    let found = crate::methods::attribute(&value, &name).unwrap_or_default();
    let is_method = found.downcast_object_ref::<value::Bound>().is_some();
    Ok(if is_object || is_method { found } else { Value::UNDEFINED })
}

pub(super) fn first(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("seq")?)?;
    Ok(items.into_iter().next().unwrap_or_default())
}

pub(super) fn last(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("seq")?)?;
    Ok(items.into_iter().next_back().unwrap_or_default())
}

/// Returns one of the items, by chance. The chances are the same in every rendering, because the same messages always give
/// the same prompt.
pub(super) fn random(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("seq")?;
    if value.kind() == ValueKind::Map {
        return Err(error(format!("'{}' object is not a sequence", type_name(&value))));
    }
    let items = value::items(state, &value)?;
    let count = items.len().max(1) as u64;
    let at = state.get_or_insert_extension(Dice::default()).throw() % count;
    Ok(items.into_iter().nth(at as usize).unwrap_or_default())
}

/// Numbers by chance: the generator SplitMix64.
#[derive(Default)]
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

pub(super) fn list(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    value::list(state, items)
}

pub(super) fn items(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("value")?;
    let pairs = match value::pairs(&value) {
        Some(pairs) => pairs,
        None if value.is_undefined() => Vec::new(),
        None => return Err(error("Can only get item pairs from a mapping.")),
    };
    tuples(state, pairs)
}

pub(super) fn tuples(state: &State<'_, '_>, pairs: Vec<(Value, Value)>) -> Outcome {
    let tuple = |(key, value)| sequence(state, Kind::Tuple, vec![key, value]);
    let tuples = pairs.into_iter().map(tuple).collect::<Result<Vec<_>, _>>()?;
    value::list(state, tuples)
}

pub(super) fn reverse(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("value")?;
    let items = value::items(state, &value)?;
    if value.as_str().is_some() {
        let reversed = items.iter().rev().map(Value::to_string).collect::<String>();
        return Ok(Value::from(reversed));
    }
    value::list(state, items.into_iter().rev().collect())
}

pub(super) fn join(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let (value, separator) = (arguments.required("value")?, arguments.or("d", "")?);
    let attribute = arguments.given("attribute")?;
    let mut text = Text::new(state);
    for (at, item) in value::items(state, &value)?.iter().enumerate() {
        if at > 0 {
            write_text(&mut text, &separator)?;
        }
        match &attribute {
            Some(attribute) => write_text(&mut text, &lookup(item, attribute)?)?,
            None => write_text(&mut text, item)?,
        }
    }
    Ok(text.into_value())
}

/// Returns the value at a path such as `a.0.b`, or an undefined one.
pub(super) fn lookup(value: &Value, path: &Value) -> Outcome {
    let Some(path) = path.as_str() else { return value.get_item(path) };
    let mut value = value.clone();
    for part in path.split('.') {
        let key = if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            part.parse::<u64>().map_or_else(|_| Value::from(part), Value::from)
        } else {
            Value::from(part)
        };
        value = value.get_item(&key)?;
    }
    Ok(value)
}

pub(super) fn batch(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    let size = parts(arguments, "linecount")?;
    let fill = arguments.given("fill_with")?;
    // A batch of zero is never full, so Python puts the first item alone and then an empty list before each other.
    let mut batches: Vec<Vec<Value>> = items.chunks(size.max(1)).map(<[Value]>::to_vec).collect();
    if let (Some(fill), Some(last)) = (fill, batches.last_mut()) {
        afford(state, size.saturating_mul(size_of::<Value>()))?;
        last.resize(size.max(last.len()), fill);
    }
    let batches =
        batches.into_iter().map(|batch| value::list(state, batch)).collect::<Result<Vec<_>, _>>()?;
    value::list(state, batches)
}

pub(super) fn slice(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    let count = parts(arguments, "slices")?;
    let fill = arguments.given("fill_with")?;
    if count == 0 {
        return Err(error("integer division or modulo by zero"));
    }
    afford(state, count.saturating_mul(4 * size_of::<Value>()))?;
    let (each, longer) = (items.len() / count, items.len() % count);
    let mut rest = items.as_slice();
    let mut slices = Vec::with_capacity(count);
    for at in 0..count {
        let (slice, after) = rest.split_at(each + usize::from(at < longer));
        rest = after;
        let fill = fill.iter().filter(|_| at >= longer);
        slices.push(value::list(state, slice.iter().chain(fill).cloned().collect())?);
    }
    value::list(state, slices)
}
