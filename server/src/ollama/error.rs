//! Errors in Ollama's shape.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ApiError;

/// Ollama's error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaError")]
pub(crate) struct ErrorAnswer {
    error: String,
}

impl From<&ApiError> for ErrorAnswer {
    fn from(error: &ApiError) -> Self {
        ErrorAnswer { error: error.message().to_owned() }
    }
}
