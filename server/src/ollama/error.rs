//! Errors in Ollama's shape.

use serde_json::{Value, json};

use crate::error::ApiError;

/// Returns Ollama's error object.
pub(crate) fn word(error: &ApiError) -> Value {
    json!({ "error": error.message() })
}
