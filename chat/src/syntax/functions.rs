//! The functions that stand for operators and literals. Their names are ones that no template can spell.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::macros;
use crate::value::{self, Kind, error, items, sequence};
use crate::{comparison, methods, operators, slices};

pub(super) const LIST: &str = "[]";
pub(super) const TUPLE: &str = "()";
pub(super) const DICT: &str = "{}";
pub(super) const SLICE: &str = "[:]";
pub(super) const ATTRIBUTE: &str = ".";
pub(super) const ITEM: &str = ".[]";
pub(super) const METHOD: &str = ".()";
/// Makes a macro that takes further arguments.
pub(super) const CATCHING: &str = "macro()";
pub(super) const NEGATIVE: &str = "-x";
pub(super) const COMPARE: &str = "<>";
pub(super) const CONCATENATE: &str = "~";
/// Makes a list of the items for a loop, or for an assignment to several names.
pub(super) const ITEMS: &str = "in";

/// Adds the functions of operators to `environment`.
pub(crate) fn add_to(environment: &mut Environment<'_>) {
    type Values = Rest<ValueOrKwargs>;
    type Current<'a, 'b, 'c> = &'a mut State<'b, 'c>;
    for op in ["+", "-", "*", "/", "//", "%", "**"] {
        environment.add_function(op, move |state: Current<'_, '_, '_>, left: Value, right: Value| {
            operators::binary(state, op, &left, &right)
        });
    }
    environment.add_function(NEGATIVE, |value: Value| operators::negate(&value));
    environment.add_function(CONCATENATE, |state: Current<'_, '_, '_>, values: Values| {
        operators::concatenate(state, &values.into_values())
    });
    environment
        .add_function(CATCHING, |declared: Value, caught: Rest<Value>| macros::catching(&declared, &caught));
    environment.add_function(COMPARE, |state: Current<'_, '_, '_>, values: Values| {
        let values = values.into_values();
        for link in values.windows(3).step_by(2) {
            let [left, op, right] = link else { continue };
            if !comparison::compare(state, op.as_str().unwrap_or_default(), left, right)? {
                return Ok(false);
            }
        }
        Ok::<bool, Error>(true)
    });
    environment.add_function(LIST, |state: Current<'_, '_, '_>, values: Values| {
        value::list(state, values.into_values())
    });
    environment.add_function(TUPLE, |state: Current<'_, '_, '_>, values: Values| {
        sequence(state, Kind::Tuple, values.into_values())
    });
    environment.add_function(DICT, |state: Current<'_, '_, '_>, values: Values| {
        let values = values.into_values();
        let pair = |pair: &[Value]| Some((pair.first()?.clone(), pair.get(1)?.clone()));
        value::dict(state, values.chunks(2).filter_map(pair))
    });
    environment.add_function(SLICE, |state: Current<'_, '_, '_>, value: Value, bounds: Rest<Value>| {
        slices::slice(state, &value, &bounds)
    });
    environment.add_function(ATTRIBUTE, |value: Value, name: String| methods::attribute(&value, &name));
    environment.add_function(ITEM, |state: Current<'_, '_, '_>, value: Value, key: Value| {
        methods::item(state, &value, &key)
    });
    environment.add_function(METHOD, |state: Current<'_, '_, '_>, values: Values| {
        let values = values.into_values();
        match values.as_slice() {
            [value, name, rest @ ..] => methods::call(state, value, name.as_str().unwrap_or_default(), rest),
            _ => Err(error("a method needs a value")),
        }
    });
    environment.add_function(ITEMS, |state: Current<'_, '_, '_>, value: Value| {
        let items = items(state, &value)?;
        value::list(state, items)
    });
}
