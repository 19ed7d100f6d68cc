//! Failures with the status that clients act on, as OpenAI's error object. Other APIs word them anew.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tercet_engine::Error;

use crate::models::Model;

pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    /// The field at fault.
    param: Option<String>,
    code: Option<&'static str>,
    /// The tokens of a prompt that is too long, and those that the context holds.
    exceeded: Option<(usize, usize)>,
}

impl ApiError {
    /// The error of a body that is at fault as a whole.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// The error of one field of the body.
    pub(crate) fn field(param: impl Into<String>, problem: &str) -> Self {
        let param = param.into();
        ApiError { param: Some(param.clone()), ..Self::invalid(format!("{param}: {problem}")) }
    }

    /// The error of a field that would change the text, and that this server cannot heed.
    pub(crate) fn unsupported(param: &str) -> Self {
        Self::field(param, "this server does not support it; leave it out")
    }

    pub(crate) fn unauthorized() -> Self {
        let message = "this server asks for an API key: send `Authorization: Bearer KEY`";
        ApiError {
            code: Some("invalid_api_key"),
            ..Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message)
        }
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    pub(crate) fn unknown_model(name: &str) -> Self {
        ApiError {
            param: Some("model".to_owned()),
            code: Some("model_not_found"),
            ..Self::not_found(format!("there is no model {name:?} here; GET /v1/models lists the models"))
        }
    }

    pub(crate) fn no_embeddings(model: &Model) -> Self {
        Self::field(
            "model",
            &format!("{:?} has no embeddings; use a model that was made for them", model.name),
        )
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    /// The error of a server that cannot answer now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", message)
    }

    /// The error while the models load, in llama-server's words, which its clients wait for.
    pub(crate) fn loading() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", "Loading model")
    }

    /// The error of a fault of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        ApiError { status, kind, message: message.into(), param: None, code: None, exceeded: None }
    }

    /// The error of a body that cannot be read.
    pub(crate) fn unreadable(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request_error", message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns OpenAI's error object.
    pub(crate) fn body(&self) -> Value {
        let ApiError { message, kind, param, code, exceeded, .. } = self;
        let mut error = json!({ "message": message, "type": kind, "param": param, "code": code });
        if let Some((tokens, context)) = exceeded {
            (error["n_prompt_tokens"], error["n_ctx"]) = (json!(tokens), json!(context));
        }
        json!({ "error": error })
    }

    /// Returns the answer with this body.
    pub(crate) fn respond(&self, body: Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            // The type and the numbers are llama-server's, the code is OpenAI's.
            Error::ContextExceeded { tokens, context } => ApiError {
                code: Some("context_length_exceeded"),
                exceeded: Some((tokens, context)),
                ..Self::new(StatusCode::BAD_REQUEST, "exceed_context_size_error", message)
            },
            Error::CacheExceeded { .. } => {
                ApiError { code: Some("context_length_exceeded"), ..Self::invalid(message) }
            }
            Error::BadArgument { argument, .. } => {
                ApiError { param: Some(argument), ..Self::invalid(message) }
            }
            Error::Busy { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded_error", message),
            Error::OutOfMemory { .. } => Self::unavailable(message),
            _ => Self::internal(message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.respond(self.body());
        // For `reword` and the log.
        response.extensions_mut().insert(self);
        response
    }
}

/// Refuses the first field that is asked for, because it would change the text and this server cannot heed it.
///
/// # Errors
/// Fails with status 400 if there is one.
pub(crate) fn refuse(fields: &[(&str, bool)]) -> Result<()> {
    match fields.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(ApiError::unsupported(field)),
        None => Ok(()),
    }
}

/// Words an answer's error as another API does.
pub(crate) fn reword(response: Response, word: fn(&ApiError) -> Value) -> Response {
    match response.extensions().get::<ApiError>() {
        Some(error) => {
            let mut worded = error.respond(word(error));
            worded.extensions_mut().insert(error.clone());
            worded
        }
        None => response,
    }
}
