//! Jinja's tests: what may stand after `is`.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::arguments::Arguments;
use super::comparison::compare;
use super::filters;
use super::operators::{Number, binary};
use super::unicode::is_cased_up;
use super::value::{Dict, List, error};

type Predicate = fn(&mut State<'_, '_>, &Value, &mut Arguments<'_>) -> Result<bool, Error>;

const PREDICATES: [(&str, Predicate); 39] = [
    ("boolean", |_, value, _| Ok(value.kind() == ValueKind::Bool)),
    ("callable", |_, value, _| Ok(is_callable(value))),
    ("defined", |_, value, _| Ok(!value.is_undefined())),
    ("undefined", |_, value, _| Ok(value.is_undefined())),
    ("none", |_, value, _| Ok(value.is_none())),
    ("true", |_, value, _| Ok(value.kind() == ValueKind::Bool && value.is_true())),
    ("false", |_, value, _| Ok(value.kind() == ValueKind::Bool && !value.is_true())),
    ("integer", |_, value, _| Ok(value.kind() == ValueKind::Number && value.is_integer())),
    ("float", |_, value, _| Ok(value.kind() == ValueKind::Number && !value.is_integer())),
    ("number", |_, value, _| Ok(Number::of(value).is_some() || value.is_number())),
    ("string", |_, value, _| Ok(value.as_str().is_some())),
    ("mapping", |_, value, _| Ok(value.downcast_object_ref::<Dict>().is_some() || value.is_kwargs())),
    ("sequence", |_, value, _| Ok(is_sequence(value))),
    ("iterable", |_, value, _| Ok(is_sequence(value))),
    ("escaped", |_, value, _| Ok(value.is_safe())),
    ("lower", |state, value, _| {
        let text = super::printing::to_text(state, value)?;
        Ok(text.chars().any(char::is_lowercase) && !text.chars().any(is_cased_up))
    }),
    ("upper", |state, value, _| {
        let text = super::printing::to_text(state, value)?;
        Ok(text.chars().any(is_cased_up) && !text.chars().any(char::is_lowercase))
    }),
    ("even", |state, value, _| rest_is(state, value, &Value::from(2), 0)),
    ("odd", |state, value, _| rest_is(state, value, &Value::from(2), 1)),
    ("divisibleby", |state, value, arguments| rest_is(state, value, &arguments.required("num")?, 0)),
    ("filter", |_, value, _| Ok(value.as_str().is_some_and(filters::exists))),
    ("test", |_, value, _| Ok(value.as_str().is_some_and(exists))),
    ("sameas", |_, value, arguments| Ok(is_same(value, &arguments.required("other")?))),
    ("in", |state, value, arguments| compare(state, "in", value, &arguments.required("seq")?)),
    ("==", |state, value, arguments| compare(state, "==", value, &arguments.required("b")?)),
    ("eq", |state, value, arguments| compare(state, "==", value, &arguments.required("b")?)),
    ("equalto", |state, value, arguments| compare(state, "==", value, &arguments.required("b")?)),
    ("!=", |state, value, arguments| compare(state, "!=", value, &arguments.required("b")?)),
    ("ne", |state, value, arguments| compare(state, "!=", value, &arguments.required("b")?)),
    (">", |state, value, arguments| compare(state, ">", value, &arguments.required("b")?)),
    ("gt", |state, value, arguments| compare(state, ">", value, &arguments.required("b")?)),
    ("greaterthan", |state, value, arguments| compare(state, ">", value, &arguments.required("b")?)),
    (">=", |state, value, arguments| compare(state, ">=", value, &arguments.required("b")?)),
    ("ge", |state, value, arguments| compare(state, ">=", value, &arguments.required("b")?)),
    ("<", |state, value, arguments| compare(state, "<", value, &arguments.required("b")?)),
    ("lt", |state, value, arguments| compare(state, "<", value, &arguments.required("b")?)),
    ("lessthan", |state, value, arguments| compare(state, "<", value, &arguments.required("b")?)),
    ("<=", |state, value, arguments| compare(state, "<=", value, &arguments.required("b")?)),
    ("le", |state, value, arguments| compare(state, "<=", value, &arguments.required("b")?)),
];

/// Adds the tests to `environment`.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    for (name, predicate) in PREDICATES {
        environment.add_test(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            let mut arguments = Arguments::new(name, &values)?;
            let value = arguments.required("value")?;
            let holds = predicate(state, &value, &mut arguments)?;
            arguments.end().map(|()| holds)
        });
    }
}

fn exists(name: &str) -> bool {
    PREDICATES.iter().any(|(test, _)| *test == name)
}

fn is_callable(value: &Value) -> bool {
    value.is_undefined()
        || value.as_object().is_some()
            && value.downcast_object_ref::<List>().is_none()
            && value.downcast_object_ref::<Dict>().is_none()
}

fn is_sequence(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
    )
}

/// Returns whether two values are the same object in Python. Small values are.
fn is_same(value: &Value, other: &Value) -> bool {
    value.kind() == other.kind()
        && value.is_integer() == other.is_integer()
        && value.as_object().is_none()
        && value == other
}

fn rest_is(state: &State<'_, '_>, value: &Value, divisor: &Value, wanted: i64) -> Result<bool, Error> {
    if Number::of(value).is_none() {
        return Err(error("not all arguments converted during string formatting"));
    }
    compare(state, "==", &binary(state, "%", value, divisor)?, &Value::from(wanted))
}
