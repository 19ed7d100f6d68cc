//! Jinja's filters.

mod numbers;
pub(super) mod ordering;
mod selecting;
mod sequences;
mod text;
mod urlize;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::arguments::Arguments;
use super::{json, markup};

/// A filter, a test or a global function.
pub(super) type Function = fn(&mut State<'_, '_>, &mut Arguments<'_>) -> Result<Value, Error>;

const FILTERS: [(&str, Function); 54] = [
    ("abs", numbers::abs),
    ("attr", sequences::attr),
    ("batch", sequences::batch),
    ("capitalize", text::capitalize),
    ("center", text::center),
    ("count", sequences::length),
    ("d", sequences::default),
    ("default", sequences::default),
    ("dictsort", ordering::dictsort),
    ("e", markup::escape_filter),
    ("escape", markup::escape_filter),
    ("filesizeformat", numbers::filesizeformat),
    ("first", sequences::first),
    ("float", numbers::float),
    ("forceescape", markup::forceescape),
    ("format", text::format),
    ("groupby", ordering::groupby),
    ("indent", text::indent),
    ("int", numbers::int),
    ("items", sequences::items),
    ("join", sequences::join),
    ("last", sequences::last),
    ("length", sequences::length),
    ("list", sequences::list),
    ("lower", text::lower),
    ("map", selecting::map),
    ("max", ordering::max),
    ("min", ordering::min),
    ("pprint", text::pprint),
    ("random", sequences::random),
    ("reject", selecting::reject),
    ("rejectattr", selecting::rejectattr),
    ("replace", text::replace),
    ("reverse", sequences::reverse),
    ("round", numbers::round),
    ("safe", markup::safe),
    ("select", selecting::select),
    ("selectattr", selecting::selectattr),
    ("slice", sequences::slice),
    ("sort", ordering::sort),
    ("string", text::string),
    ("striptags", markup::striptags),
    ("sum", numbers::sum),
    ("title", text::title),
    ("tojson", json::tojson),
    ("trim", text::trim),
    ("truncate", text::truncate),
    ("unique", ordering::unique),
    ("upper", text::upper),
    ("urlencode", markup::urlencode),
    ("urlize", urlize::urlize),
    ("wordcount", text::wordcount),
    ("wordwrap", text::wordwrap),
    ("xmlattr", markup::xmlattr),
];

/// Adds the filters to `environment`.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    for (name, filter) in FILTERS {
        environment.add_filter(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            call(state, name, filter, &values.into_values())
        });
    }
}

/// Calls a function and refuses arguments that it does not know.
pub(super) fn call(
    state: &mut State<'_, '_>,
    name: &str,
    function: Function,
    values: &[Value],
) -> Result<Value, Error> {
    let mut arguments = Arguments::new(name, values)?;
    let result = function(state, &mut arguments)?;
    arguments.end()?;
    Ok(result)
}

/// Returns whether there is a filter of this name.
pub(super) fn exists(name: &str) -> bool {
    FILTERS.iter().any(|(filter, _)| *filter == name)
}
