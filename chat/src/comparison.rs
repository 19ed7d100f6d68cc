//! Python's comparisons.

use std::cmp::Ordering;

use minijinja::{Error, State, Value};

use super::operators::Number;
use super::printing::charge;
use super::value::{Dict, List, MAX_DEPTH, error, items, type_name};

/// Computes `left op right` for the comparison `op`.
pub(super) fn compare(state: &State<'_, '_>, op: &str, left: &Value, right: &Value) -> Result<bool, Error> {
    Ok(match op {
        "==" => equal(state, left, right)?,
        "!=" => !equal(state, left, right)?,
        "in" => contains(state, right, left)?,
        "not in" => !contains(state, right, left)?,
        _ => {
            let ordering = order(state, left, right)?;
            match op {
                "<" => ordering == Some(Ordering::Less),
                "<=" => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
                ">" => ordering == Some(Ordering::Greater),
                _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            }
        }
    })
}

/// Returns whether two values are equal in Python.
pub(super) fn equal(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<bool, Error> {
    equal_within(state, left, right, MAX_DEPTH)
}

fn equal_within(state: &State<'_, '_>, left: &Value, right: &Value, levels: usize) -> Result<bool, Error> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(error("maximum recursion depth exceeded in comparison"));
    };
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        charge(state, a.len().min(b.len()))?;
        return Ok(a == b);
    }
    if let (Some(a), Some(b)) = (left.downcast_object_ref::<List>(), right.downcast_object_ref::<List>()) {
        if a.items.len() != b.items.len() || type_name(left) != type_name(right) {
            return Ok(false);
        }
        for (a, b) in a.items.iter().zip(&b.items) {
            state.consume_fuel(1)?;
            if !equal_within(state, a, b, levels)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (Some(a), Some(b)) = (left.downcast_object_ref::<Dict>(), right.downcast_object_ref::<Dict>()) {
        if a.map.len() != b.map.len() {
            return Ok(false);
        }
        for (key, value) in &a.map {
            state.consume_fuel(1)?;
            match b.get(key) {
                Some(other) if equal_within(state, value, other, levels)? => {}
                _ => return Ok(false),
            }
        }
        return Ok(true);
    }
    match (left.as_object(), right.as_object()) {
        (None, None) => Ok(left == right),
        // Other objects, such as namespaces and macros, are equal to themselves only.
        (Some(a), Some(b)) => Ok(std::ptr::addr_eq(std::ptr::from_ref(a), std::ptr::from_ref(b))),
        _ => Ok(false),
    }
}

/// Returns which of two values is first, or `None` if one is not a number.
pub(super) fn order(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Option<Ordering>, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        charge(state, a.len().min(b.len()))?;
        return Ok(Some(a.cmp(b)));
    }
    match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => return Ok(Some(a.cmp(&b))),
        (Some(a), Some(b)) => return Ok(a.float().partial_cmp(&b.float())),
        _ => {}
    }
    match (left.downcast_object_ref::<List>(), right.downcast_object_ref::<List>()) {
        (Some(a), Some(b)) if type_name(left) == type_name(right) => {
            for (a, b) in a.items.iter().zip(&b.items) {
                state.consume_fuel(1)?;
                if !equal(state, a, b)? {
                    return order(state, a, b);
                }
            }
            Ok(Some(a.items.len().cmp(&b.items.len())))
        }
        _ => Err(error(format!(
            "'<' not supported between instances of '{}' and '{}'",
            type_name(left),
            type_name(right)
        ))),
    }
}

/// Computes `item in container`.
pub(super) fn contains(state: &State<'_, '_>, container: &Value, item: &Value) -> Result<bool, Error> {
    if let Some(text) = container.as_str() {
        let part = item.as_str().ok_or_else(|| {
            error(format!("'in <string>' requires string as left operand, not {}", type_name(item)))
        })?;
        charge(state, text.len() + part.len())?;
        return Ok(text.contains(part));
    }
    if let Some(dict) = container.downcast_object_ref::<Dict>() {
        return Ok(dict.get(item).is_some());
    }
    for candidate in items(state, container)? {
        if equal(state, &candidate, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}
