//! JSON bodies of requests, with faults told as OpenAI's error object.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Result};

/// The body of a request as `T`, whatever its content type says.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = Bytes::from_request(request, state);
        let bytes = bytes.await.map_err(|error| ApiError::invalid(error.body_text()))?;
        let body = serde_json::from_slice(&bytes);
        body.map(Body).map_err(|error| ApiError::invalid(format!("the body is not as expected: {error}")))
    }
}
