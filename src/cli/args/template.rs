//! Variables of chat templates.

use serde_json::{Map, Value};

/// Reads the value of `--chat-template-kwargs`.
pub(in crate::cli) fn template_variables(text: &str) -> Result<Map<String, Value>, String> {
    let remedy = "give a JSON object, as in '{\"enable_thinking\": false}'";
    match serde_json::from_str(text) {
        Ok(Value::Object(variables)) => Ok(variables),
        Ok(_) => Err(format!("it is no object; {remedy}")),
        Err(error) => Err(format!("it is not JSON: {error}; {remedy}")),
    }
}
