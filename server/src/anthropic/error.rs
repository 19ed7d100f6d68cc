//! Errors in Anthropic's shape.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::error::ApiError;

/// Returns Anthropic's error object.
pub(crate) fn word(error: &ApiError) -> Value {
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
    json!({ "type": "error", "error": { "type": kind, "message": error.message() } })
}
