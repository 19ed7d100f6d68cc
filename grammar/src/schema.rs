//! JSON schemas.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The library's own keyword.
const OPTIONS: &str = "x-guidance";
/// A space, or a line break with an indentation. Without a bound, a small model may write white space for ever.
const SPACE: &str = "[ ]|\\n[ \\t]{0,20}";

/// Keywords that say which other properties an object may have, or leave that to another schema.
const OTHERS: [&str; 9] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "dependentSchemas",
    "if",
    "oneOf",
    "patternProperties",
    "unevaluatedProperties",
];

/// Returns the schema as it holds texts: with a rule for white space, unless it has one, and with closed objects.
///
/// # Errors
/// [`Error::Invalid`] if it is neither an object nor true.
pub(crate) fn prepared(schema: &Value) -> Result<Value> {
    let mut fields = match schema {
        Value::Bool(true) => Map::new(),
        Value::Object(fields) => fields.clone(),
        _ => return Err(Error::invalid("a schema is an object, as in {\"type\": \"object\"}")),
    };
    let options = fields.entry(OPTIONS).or_insert_with(|| json!({}));
    if let Some(options) =
        options.as_object_mut().filter(|options| !options.contains_key("whitespace_flexible"))
    {
        options.entry("whitespace_pattern").or_insert_with(|| SPACE.into());
    }
    let mut schema = Value::Object(fields);
    if !combines(&schema) {
        close(&mut schema);
    }
    Ok(schema)
}

/// Allows no other properties where a schema lists some and is silent about others. Without that, a small model may invent
/// properties for ever. The texts stay valid.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let properties = fields.get("properties").and_then(Value::as_object);
    let lists = |name: &Value| {
        name.as_str().is_some_and(|name| properties.is_some_and(|properties| properties.contains_key(name)))
    };
    let has_all =
        fields.get("required").and_then(Value::as_array).is_none_or(|names| names.iter().all(lists));
    let is_silent = !OTHERS.iter().any(|keyword| fields.contains_key(*keyword));
    let (is_object, is_open) = (properties.is_some(), has_all && is_silent);
    if is_object && is_open {
        fields.insert("additionalProperties".to_owned(), false.into());
    }
    for (keyword, value) in fields {
        match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().for_each(close);
            }
            ("items" | "additionalProperties", schema) => close(schema),
            ("prefixItems", Value::Array(schemas)) => schemas.iter_mut().for_each(close),
            // The alternatives of an object with properties of its own would exclude those.
            ("anyOf" | "oneOf", Value::Array(schemas)) if !is_object => schemas.iter_mut().for_each(close),
            _ => {}
        }
    }
}

/// Returns true if a schema joins several ones, anywhere: closed ones would exclude each other.
fn combines(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let all = fields.get("allOf").and_then(Value::as_array);
            all.is_some_and(|all| all.len() > 1) || fields.values().any(combines)
        }
        Value::Array(values) => values.iter().any(combines),
        _ => false,
    }
}
