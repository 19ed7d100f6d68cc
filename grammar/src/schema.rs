//! JSON schemas.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The library's own keyword.
const OPTIONS: &str = "x-guidance";
/// A space, or a line break with an indentation. Without a bound, a small model may write white space for ever.
const SPACE: &str = "[ ]|\\n[ \\t]{0,20}";

/// Returns the schema with a rule for white space, unless it has one.
///
/// # Errors
/// [`Error::Invalid`] if it is neither an object nor true.
pub(crate) fn spaced(schema: &Value) -> Result<Value> {
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
    Ok(fields.into())
}
