//! Functions that templates call by name: Jinja's, and those that transformers adds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::arguments::{Arguments, integer};
use super::clock;
use super::filters::{self, Function};
use super::methods::containers::from_keys;
use super::value::{Kind, dict, error, items, list, pairs, sequence};

/// Items of a range, as in Jinja's sandbox.
const MAX_RANGE: i128 = 100_000;
/// Namespaces, joiners and cyclers that one rendering may make. They may hold each other, so nothing else bounds their
/// depth.
const MAX_OBJECTS: usize = 1000;

const GLOBALS: [(&str, Function); 7] = [
    ("raise_exception", raise_exception),
    ("strftime_now", |_, arguments| Ok(Value::from(clock::now(&arguments.text("format")?)?))),
    ("range", range),
    ("namespace", namespace),
    ("joiner", |state, arguments| {
        count_object(state)?;
        Ok(Value::from_object(Joiner { separator: arguments.or("sep", ", ")?, used: AtomicUsize::new(0) }))
    }),
    ("cycler", cycler),
    ("lipsum", |_, _| Err(error("lipsum() is refused: filler text has no place in a prompt"))),
];

/// Adds the functions to `environment`.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    for (name, function) in GLOBALS {
        environment.add_function(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            filters::call(state, name, function, &values.into_values())
        });
    }
    environment.add_global("dict", Value::from_object(DictType));
}

/// The kind of error by which a template refuses its messages.
pub(super) const REFUSAL: ErrorKind = ErrorKind::BadSerialization;

fn raise_exception(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let message = super::printing::to_text(state, &arguments.required("message")?)?;
    Err(Error::new(REFUSAL, message))
}

fn range(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let first = arguments.required("start")?;
    let (start, stop) = match arguments.optional("stop")? {
        Some(stop) => (integer(&first)?, integer(&stop)?),
        None => (0, integer(&first)?),
    };
    let step = arguments.integer("step", 1)?;
    let span = if step < 0 { start.checked_sub(stop) } else { stop.checked_sub(start) };
    let count = match (span, step.checked_abs()) {
        (_, Some(0)) => return Err(error("range() arg 3 must not be zero")),
        (Some(span), Some(step)) => span.max(0) / step + i128::from(span > 0 && span % step != 0),
        _ => MAX_RANGE + 1,
    };
    if count > MAX_RANGE {
        return Err(error(format!(
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MAX_RANGE})."
        )));
    }
    let numbers = (0..count).map(|at| Value::from(start + at * step)).collect();
    sequence(state, Kind::Range(start, stop, step), numbers)
}

/// Counts an object that may hold others of its kind.
fn count_object(state: &mut State<'_, '_>) -> Result<(), Error> {
    struct Made(usize);
    let made = state.get_or_insert_extension(Made(0));
    made.0 += 1;
    if made.0 > MAX_OBJECTS {
        return Err(error(format!("a template may make {MAX_OBJECTS} namespaces, joiners and cyclers")));
    }
    Ok(())
}

fn namespace(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    count_object(state)?;
    let mut attributes = fields(state, arguments)?;
    attributes.retain(|(name, _)| name.as_str().is_some());
    if let Some((name, _)) =
        attributes.iter().find(|(name, _)| name.as_str().is_some_and(|name| name.starts_with('_')))
    {
        return Err(error(format!("a namespace cannot store the attribute '{name}'")));
    }
    let named = attributes.into_iter().map(|(name, value)| (name.to_string(), value)).collect::<Kwargs>();
    minijinja::functions::namespace(Some(Value::from(named).into()))
}

/// Returns the entries of `dict(…)`: those of a dict or of pairs, and named ones.
fn fields(state: &State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Vec<(Value, Value)>, Error> {
    let mut fields = Vec::new();
    if let [first, ..] = arguments.rest() {
        fields = match pairs(first) {
            Some(pairs) => pairs,
            None => items(state, first)?
                .iter()
                .map(|pair| match items(state, pair)?.as_slice() {
                    [key, value] => Ok((key.clone(), value.clone())),
                    _ => Err(error("dictionary update sequence element is not a pair")),
                })
                .collect::<Result<Vec<_>, Error>>()?,
        };
    }
    let named = arguments.rest_named().into_iter().map(|(name, value)| (Value::from(name), value));
    fields.extend(named);
    Ok(fields)
}

/// `dict`, which can be called and has a method of its own.
#[derive(Debug)]
struct DictType;

impl Object for DictType {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, values: &[Value]) -> Result<Value, Error> {
        let mut arguments = Arguments::new("dict", values)?;
        let fields = fields(state, &mut arguments)?;
        arguments.end()?;
        dict(state, fields)
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        name: &str,
        values: &[Value],
    ) -> Result<Value, Error> {
        match name {
            "fromkeys" => from_keys(state, &mut Arguments::new(name, values)?),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `joiner(sep)`: nothing at the first call, and the separator at each later one.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: AtomicUsize,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let first = self.used.swap(1, Ordering::Relaxed) == 0;
        Ok(if first { Value::from("") } else { self.separator.clone() })
    }
}

/// `cycler(…)`: its items in turn.
#[derive(Debug)]
struct Cycler {
    items: Value,
    len: usize,
    at: AtomicUsize,
}

fn cycler(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    count_object(state)?;
    let items = arguments.rest().to_vec();
    if items.is_empty() {
        return Err(error("at least one item has to be provided"));
    }
    let len = items.len();
    Ok(Value::from_object(Cycler { items: list(state, items)?, len, at: AtomicUsize::new(0) }))
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "current").then(|| self.current()).flatten()
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, name: &str, _: &[Value]) -> Result<Value, Error> {
        match name {
            "next" => {
                let item = self.current().unwrap_or_default();
                self.at.fetch_add(1, Ordering::Relaxed);
                Ok(item)
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

impl Cycler {
    fn current(&self) -> Option<Value> {
        self.items.get_item_by_index(self.at.load(Ordering::Relaxed) % self.len).ok()
    }
}
