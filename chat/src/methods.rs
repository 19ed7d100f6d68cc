//! The methods of Python's types that a template may call.

pub(super) mod containers;
pub(super) mod padding;
pub(super) mod splitting;
pub(super) mod strings;

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::printing::charge;
use super::value::{Bound, Dict, List, error, type_name};

/// Returns whether some type has a method of this name, so that `x.name` may mean it.
pub(super) fn is_known(name: &str) -> bool {
    strings::NAMES.contains(&name) || containers::LIST.contains(&name) || containers::DICT.contains(&name)
}

fn has(value: &Value, name: &str) -> bool {
    if value.as_str().is_some() {
        strings::NAMES.contains(&name)
    } else if value.downcast_object_ref::<List>().is_some() {
        containers::LIST.contains(&name)
    } else {
        value.downcast_object_ref::<Dict>().is_some() && containers::DICT.contains(&name)
    }
}

/// Computes `value.name`, where a method comes before an item. Methods that change their value are undefined.
pub(super) fn attribute(value: &Value, name: &str) -> Result<Value, Error> {
    if containers::changes(value, name) {
        return Ok(Value::UNDEFINED);
    }
    if has(value, name) {
        return Ok(Value::from_object(Bound { receiver: value.clone(), name: name.to_owned() }));
    }
    if value.is_undefined() {
        return Err(error(format!("an undefined value has no attribute '{name}'")));
    }
    value.get_attr(name)
}

/// Computes `value[key]`, where an item comes before a method.
pub(super) fn item(state: &State<'_, '_>, value: &Value, key: &Value) -> Result<Value, Error> {
    charge(state, value.as_str().map_or(0, str::len))?;
    let item = value.get_item(key)?;
    match key.as_str() {
        Some(name) if item.is_undefined() && has(value, name) => attribute(value, name),
        _ => Ok(item),
    }
}

/// Computes `value.name(…)`.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    values: &[Value],
) -> Result<Value, Error> {
    if !has(value, name) {
        if value.kind() == ValueKind::Undefined {
            return Err(error(format!("an undefined value has no attribute '{name}'")));
        }
        return match value.get_attr(name) {
            Ok(item) if !item.is_undefined() => item.call(state, values),
            _ if value.as_object().is_some() && !is_container(value) => {
                value.call_method(state, name, values)
            }
            _ => Err(error(format!("'{} object' has no attribute '{name}'", type_name(value)))),
        };
    }
    let mut arguments = Arguments::new(name, values)?;
    let result = match value.as_str() {
        Some(text) => {
            charge(state, text.len())?;
            strings::call(state, text, name, &mut arguments)?
        }
        None => containers::call(state, value, name, &mut arguments)?,
    };
    arguments.end()?;
    Ok(result)
}

fn is_container(value: &Value) -> bool {
    value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Dict>().is_some()
}
