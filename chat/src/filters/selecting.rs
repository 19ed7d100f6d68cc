//! Filters that take other filters or tests by name, or an attribute.

use minijinja::{Error, ErrorKind, State, Value};

use super::sequences::lookup;
use crate::arguments::Arguments;
use crate::value::{self, error};

type Outcome = Result<Value, Error>;

/// Returns the items of a value. `map` and its like take what is falsy for empty.
fn items_if_any(state: &State<'_, '_>, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_true() { value::items(state, value) } else { Ok(Vec::new()) }
}

pub(super) fn map(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = items_if_any(state, &arguments.required("value")?)?;
    let mut mapped = Vec::with_capacity(items.len());
    let rest = arguments.rest();
    if let Some((filter, extra)) = rest.split_first() {
        let named = arguments.rest_named();
        let name = filter.as_str().ok_or_else(|| error("map requires the name of a filter"))?;
        for item in items {
            mapped.push(state.apply_filter(name, &with(item, extra, &named))?);
        }
        return value::list(state, mapped);
    }
    let attribute = arguments.required("attribute")?;
    let default = arguments.given("default")?;
    for item in items {
        let value = lookup(&item, &attribute)?;
        mapped.push(if value.is_undefined() { default.clone().unwrap_or(value) } else { value });
    }
    value::list(state, mapped)
}

/// Returns the arguments of a call for one item.
fn with(item: Value, extra: &[Value], named: &[(String, Value)]) -> Vec<Value> {
    let mut values = vec![item];
    values.extend_from_slice(extra);
    if !named.is_empty() {
        values.push(Value::from(named.iter().cloned().collect::<minijinja::value::Kwargs>()));
    }
    values
}

fn selected(
    state: &mut State<'_, '_>,
    arguments: &mut Arguments<'_>,
    by_attribute: bool,
    wanted: bool,
) -> Outcome {
    let items = items_if_any(state, &arguments.required("value")?)?;
    let attribute = if by_attribute { Some(arguments.required("attribute")?) } else { None };
    let (rest, named) = (arguments.rest(), arguments.rest_named());
    let mut kept = Vec::new();
    for item in items {
        let subject = match &attribute {
            Some(attribute) => lookup(&item, attribute)?,
            None => item.clone(),
        };
        let passes = match rest.split_first() {
            Some((test, extra)) => {
                let name = test.as_str().ok_or_else(|| Error::from(ErrorKind::UnknownTest))?;
                state.perform_test(name, &with(subject, extra, &named))?
            }
            None => subject.is_true(),
        };
        if passes == wanted {
            kept.push(item);
        }
    }
    value::list(state, kept)
}

pub(super) fn select(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    selected(state, arguments, false, true)
}

pub(super) fn reject(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    selected(state, arguments, false, false)
}

pub(super) fn selectattr(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    selected(state, arguments, true, true)
}

pub(super) fn rejectattr(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    selected(state, arguments, true, false)
}
