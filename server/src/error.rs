//! Failures with the status that clients act on, as OpenAI's error object. Other APIs word them anew.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::Error;

use crate::openapi::Fault;

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

    /// The error of a prompt whose length alone tells that the context cannot hold it.
    pub(crate) fn too_long(bytes: usize, tokens: usize, context: usize) -> Self {
        let message = format!(
            "the prompt of {bytes} bytes and its continuation take at least {tokens} tokens but the context holds \
             {context}; shorten the prompt"
        );
        Self::exceeded(message, tokens, context)
    }

    /// The error of a context that is too small. The type and the numbers are llama-server's, the code is OpenAI's.
    fn exceeded(message: String, tokens: usize, context: usize) -> Self {
        ApiError {
            code: Some("context_length_exceeded"),
            exceeded: Some((tokens, context)),
            ..Self::new(StatusCode::BAD_REQUEST, "exceed_context_size_error", message)
        }
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

    /// Returns the answer with this body.
    fn respond(&self, body: &impl Serialize) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// OpenAI's error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct ErrorAnswer {
    pub(crate) error: ErrorObject,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorObject {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field at fault.
    param: Option<String>,
    code: Option<&'static str>,
    /// Tokens of a prompt that is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_prompt_tokens: Option<usize>,
    /// Tokens that the context holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_ctx: Option<usize>,
}

impl From<&ApiError> for ErrorAnswer {
    fn from(error: &ApiError) -> Self {
        let ApiError { message, kind, param, code, exceeded, .. } = error.clone();
        let (n_prompt_tokens, n_ctx) = exceeded.unzip();
        ErrorAnswer { error: ErrorObject { message, kind, param, code, n_prompt_tokens, n_ctx } }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::ContextExceeded { tokens, context } => Self::exceeded(message, tokens, context),
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
        let mut response = self.respond(&ErrorAnswer::from(&self));
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

/// Words an answer's error as `E`.
pub(crate) fn reword<E: Fault>(response: Response) -> Response {
    match response.extensions().get::<ApiError>() {
        Some(error) => {
            let mut worded = error.respond(&E::from(error));
            worded.extensions_mut().insert(error.clone());
            worded
        }
        None => response,
    }
}
