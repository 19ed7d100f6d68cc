//! Methods of lists, tuples and dicts. As in transformers' sandbox, none changes its value.

use minijinja::{Error, State, Value};

use crate::arguments::Arguments;
use crate::comparison::equal;
use crate::value::{Dict, Kind, List, dict, error, items, list, sequence};

pub(super) const LIST: [&str; 11] =
    ["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
pub(super) const DICT: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];

/// Methods that change a list or a dict.
const CHANGING: [&str; 11] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
];

/// Returns whether `value` has a method of this name that would change it.
pub(super) fn changes(value: &Value, name: &str) -> bool {
    let of_list = value.downcast_object_ref::<List>().is_some_and(|list| list.kind == Kind::List);
    let of_dict = value.downcast_object_ref::<Dict>().is_some();
    CHANGING.contains(&name) && (of_list && LIST.contains(&name) || of_dict && DICT.contains(&name))
}

pub(super) fn call(
    state: &State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &mut Arguments<'_>,
) -> Result<Value, Error> {
    if let Some(own) = value.downcast_object_ref::<Dict>() {
        return match name {
            "items" => {
                let pair = |(key, value): (&Value, &Value)| {
                    sequence(state, Kind::Tuple, vec![key.clone(), value.clone()])
                };
                let pairs = own.map.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
                sequence(state, Kind::View("dict_items"), pairs)
            }
            "keys" => sequence(state, Kind::View("dict_keys"), own.map.keys().cloned().collect()),
            "values" => sequence(state, Kind::View("dict_values"), own.map.values().cloned().collect()),
            "get" => {
                let (key, default) = (arguments.required("key")?, arguments.or("default", ())?);
                Ok(own.get(&key).cloned().unwrap_or(default))
            }
            "copy" => Ok(value.clone()),
            "fromkeys" => from_keys(state, arguments),
            _ => Err(unsafe_call("dict", name)),
        };
    }
    let Some(own) = value.downcast_object_ref::<List>() else {
        return Err(error(format!("no method {name}")));
    };
    match name {
        "count" => {
            let wanted = arguments.required("value")?;
            let mut count = 0;
            for item in &own.items {
                count += usize::from(equal(state, item, &wanted)?);
            }
            Ok(Value::from(count))
        }
        "index" => {
            let (wanted, start) = (arguments.required("value")?, arguments.count("start", 0)?);
            let stop = arguments.count("stop", usize::MAX)?.min(own.items.len());
            for at in start..stop {
                if equal(state, &own.items[at], &wanted)? {
                    return Ok(Value::from(at));
                }
            }
            Err(error("the value is not in the list"))
        }
        "copy" if own.kind == Kind::List => list(state, own.items.clone()),
        _ => Err(unsafe_call("list", name)),
    }
}

fn unsafe_call(kind: &str, name: &str) -> Error {
    error(format!(
        "access to attribute '{name}' of '{kind}' object is unsafe: templates cannot change values"
    ))
}

/// `dict.fromkeys(keys, value=none)`.
pub(crate) fn from_keys(state: &State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let keys = arguments.required("keys")?;
    let value = arguments.or("value", ())?;
    dict(state, items(state, &keys)?.into_iter().map(|key| (key, value.clone())))
}
