//! Python's containers as values of minijinja. Each knows how deeply it is nested, so that no template can build one
//! that is too deep for the stack.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::{methods, printing};

/// Containers within containers that a template may make.
pub(super) const MAX_DEPTH: usize = 200;
/// Items that one unit of fuel pays for.
const ITEMS_PER_FUEL: usize = 4;

/// What Python calls the type of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Tuple,
    /// A tuple of `grouper` and `list`.
    Group,
    /// `range(start, stop, step)`.
    Range(i128, i128, i128),
    /// `dict_keys` and its like.
    View(&'static str),
}

/// A sequence that never changes.
#[derive(Debug)]
pub(super) struct List {
    pub(super) items: Vec<Value>,
    pub(super) kind: Kind,
    depth: usize,
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = match (self.kind, key.as_str()) {
            (Kind::Group, Some("grouper")) => 0,
            (Kind::Group, Some("list")) => 1,
            _ => key.as_usize()?,
        };
        self.items.get(at).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printing::display(&Value::from_dyn_object(self.clone())))
    }
}

/// A mapping that keeps its order and never changes.
#[derive(Debug)]
pub(super) struct Dict {
    pub(super) map: IndexMap<Value, Value>,
    depth: usize,
}

impl Dict {
    /// Returns the value of a key. What cannot be a key has none.
    pub(super) fn get(&self, key: &Value) -> Option<&Value> {
        if is_hashable(key) { self.map.get(key) } else { None }
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.map.keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.map.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printing::display(&Value::from_dyn_object(self.clone())))
    }
}

/// A method of a value, such as `x.items` without a call.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) receiver: Value,
    pub(super) name: String,
}

impl Object for Bound {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        methods::call(state, &self.receiver, &self.name, args)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<built-in method {}>", self.name)
    }
}

/// Returns an error of the template's own making.
pub(super) fn error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Returns how many containers a value holds within each other.
fn depth(value: &Value) -> usize {
    if let Some(list) = value.downcast_object_ref::<List>() {
        list.depth
    } else if let Some(dict) = value.downcast_object_ref::<Dict>() {
        dict.depth
    } else if let Some(bound) = value.downcast_object_ref::<Bound>() {
        1 + depth(&bound.receiver)
    } else {
        0
    }
}

fn depth_around<'a>(items: impl Iterator<Item = &'a Value>) -> Result<usize, Error> {
    let depth = 1 + items.map(depth).max().unwrap_or(0);
    if depth > MAX_DEPTH {
        return Err(error(format!("values are nested more than {MAX_DEPTH} deep")));
    }
    Ok(depth)
}

/// Makes a sequence, and takes fuel for its items.
pub(super) fn sequence(state: &State<'_, '_>, kind: Kind, items: Vec<Value>) -> Result<Value, Error> {
    state.consume_fuel((items.len() / ITEMS_PER_FUEL) as u64 + 1)?;
    let depth = depth_around(items.iter())?;
    Ok(Value::from_object(List { items, kind, depth }))
}

/// Makes a list, and takes fuel for its items.
pub(super) fn list(state: &State<'_, '_>, items: Vec<Value>) -> Result<Value, Error> {
    sequence(state, Kind::List, items)
}

/// Makes a dict, and takes fuel for its items.
pub(super) fn dict(
    state: &State<'_, '_>,
    pairs: impl IntoIterator<Item = (Value, Value)>,
) -> Result<Value, Error> {
    let mut map = IndexMap::new();
    for (key, value) in pairs {
        if !is_hashable(&key) {
            return Err(error(format!("unhashable type: '{}'", type_name(&key))));
        }
        state.consume_fuel(1 + key.as_str().map_or(0, str::len) as u64 / 64)?;
        map.insert(key, value);
    }
    let depth = depth_around(map.values().chain(map.keys()))?;
    Ok(Value::from_object(Dict { map, depth }))
}

/// Returns whether Python allows the value as a key.
fn is_hashable(key: &Value) -> bool {
    match key.kind() {
        ValueKind::Undefined | ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String => {
            true
        }
        _ => key
            .downcast_object_ref::<List>()
            .is_some_and(|list| list.kind == Kind::Tuple && list.items.iter().all(is_hashable)),
    }
}

/// Turns JSON into values.
///
/// # Errors
/// Fails if it is nested more than [`MAX_DEPTH`] deep.
pub(super) fn from_json(json: &serde_json::Value) -> Result<Value, Error> {
    from_json_within(json, MAX_DEPTH)
}

fn from_json_within(json: &serde_json::Value, levels: usize) -> Result<Value, Error> {
    use serde_json::Value as Json;
    let Some(levels) = levels.checked_sub(1) else {
        return Err(error(format!("messages are nested more than {MAX_DEPTH} deep")));
    };
    Ok(match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::from(int),
            (_, Some(int)) => Value::from(int),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            let items =
                items.iter().map(|item| from_json_within(item, levels)).collect::<Result<Vec<_>, _>>()?;
            let depth = depth_around(items.iter())?;
            Value::from_object(List { items, kind: Kind::List, depth })
        }
        Json::Object(fields) => {
            let pair = |(key, value): (&String, &Json)| {
                Ok((Value::from(key.as_str()), from_json_within(value, levels)?))
            };
            let map = fields.iter().map(pair).collect::<Result<IndexMap<_, _>, Error>>()?;
            let depth = depth_around(map.values())?;
            Value::from_object(Dict { map, depth })
        }
    })
}

/// Returns Python's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "Undefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        _ => match value.downcast_object_ref::<List>().map(|list| list.kind) {
            Some(Kind::List) => "list",
            Some(Kind::Tuple | Kind::Group) => "tuple",
            Some(Kind::Range(..)) => "range",
            Some(Kind::View(name)) => name,
            None if value.downcast_object_ref::<Dict>().is_some() => "dict",
            None => "object",
        },
    }
}

/// Returns the items that a loop over the value sees, and takes fuel for them.
///
/// # Errors
/// Fails if Python cannot iterate over it.
pub(super) fn items(state: &State<'_, '_>, value: &Value) -> Result<Vec<Value>, Error> {
    if matches!(value.kind(), ValueKind::None | ValueKind::Plain) {
        return Err(error(format!("'{}' object is not iterable", type_name(value))));
    }
    let len = value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len);
    state.consume_fuel((len / ITEMS_PER_FUEL) as u64)?;
    let iter =
        value.try_iter().map_err(|_| error(format!("'{}' object is not iterable", type_name(value))))?;
    iter.checked().collect()
}

/// Returns the pairs of a dict, or of what minijinja passes as one.
pub(super) fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        return Some(dict.map.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    if value.kind() != ValueKind::Map {
        return None;
    }
    Some(value.as_object()?.try_iter_pairs()?.collect())
}
