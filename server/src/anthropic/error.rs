//! Errors in Anthropic's shape.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ApiError;

/// Anthropic's error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "MessagesError")]
pub(crate) struct ErrorAnswer {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorObject,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "MessagesErrorObject")]
struct ErrorObject {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

impl From<&ApiError> for ErrorAnswer {
    fn from(error: &ApiError) -> Self {
        let kind = match error.status() {
            StatusCode::BAD_REQUEST => "invalid_request_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
            _ => "api_error",
        };
        ErrorAnswer { kind: "error", error: ErrorObject { kind, message: error.message().to_owned() } }
    }
}
