//! `pprint`: values on one line if they fit, and otherwise an item a line.

use minijinja::{Error, State, Value};

use super::printing::{Text, to_repr};
use super::value::{Dict, Kind, List, MAX_DEPTH, dict, error};

const WIDTH: usize = 80;

/// Returns what Python's `pprint.pformat` writes. Long strings are not broken.
pub(super) fn print(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let value = sorted(state, value, MAX_DEPTH)?;
    let mut text = Text::new(state);
    write(state, &mut text, &value, 0, 0)?;
    Ok(text.into_value())
}

/// Returns the value with the keys of all dicts in order.
fn sorted(state: &State<'_, '_>, value: &Value, levels: usize) -> Result<Value, Error> {
    let Some(levels) = levels.checked_sub(1) else { return Err(error("maximum recursion depth exceeded")) };
    state.consume_fuel(1)?;
    if let Some(own) = value.downcast_object_ref::<List>() {
        let items =
            own.items.iter().map(|item| sorted(state, item, levels)).collect::<Result<Vec<_>, _>>()?;
        return super::value::sequence(state, own.kind, items);
    }
    let Some(own) = value.downcast_object_ref::<Dict>() else { return Ok(value.clone()) };
    let keys: Vec<Value> = own.map.keys().cloned().collect();
    let order = super::filters::ordering::sorted(state, &keys, false);
    let order = order.unwrap_or_else(|_| (0..keys.len()).collect());
    let mut pairs = Vec::with_capacity(keys.len());
    for at in order {
        if let Some(item) = own.map.get_index(at).map(|(_, item)| item) {
            pairs.push((keys[at].clone(), sorted(state, item, levels)?));
        }
    }
    dict(state, pairs)
}

fn write(
    state: &State<'_, '_>,
    text: &mut Text,
    value: &Value,
    indent: usize,
    allowance: usize,
) -> Result<(), Error> {
    let line = to_repr(state, value)?;
    if line.chars().count() + indent + allowance <= WIDTH {
        return text.push(&line);
    }
    let (brackets, count) = if let Some(dict) = value.downcast_object_ref::<Dict>() {
        ("{}", dict.map.len())
    } else if let Some(list) = value.downcast_object_ref::<List>() {
        (if list.kind == Kind::Tuple { "()" } else { "[]" }, list.items.len())
    } else {
        return text.push(&line);
    };
    let (open, close) = brackets.split_at(1);
    let close = if brackets == "()" && count == 1 { ",)" } else { close };
    text.push(open)?;
    for at in 0..count {
        if at > 0 {
            text.push(",\n")?;
            text.repeat(" ", indent + 1)?;
        }
        let allowance = if at + 1 == count { allowance + close.len() } else { 1 };
        if let Some((key, item)) = value.downcast_object_ref::<Dict>().and_then(|dict| dict.map.get_index(at))
        {
            let key = to_repr(state, key)?;
            text.push(&key)?;
            text.push(": ")?;
            write(state, text, item, indent + 1 + key.chars().count() + 2, allowance)?;
        } else if let Some(list) = value.downcast_object_ref::<List>() {
            write(state, text, &list.items[at], indent + 1, allowance)?;
        }
    }
    text.push(close)
}
