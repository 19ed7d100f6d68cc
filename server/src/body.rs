//! JSON bodies and queries of requests, with faults told as errors of the API.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::State;
use crate::error::{ApiError, Result};

/// The body of a request as `T`, whatever its content type says.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<State>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self> {
        let bytes = tokio::time::timeout(state.limits.idle_time, Bytes::from_request(request, state)).await;
        let late = |_| ApiError::unreadable(StatusCode::REQUEST_TIMEOUT, "the body has not arrived in time");
        let bytes =
            bytes.map_err(late)?.map_err(|error| ApiError::unreadable(error.status(), error.body_text()))?;
        let body = serde_json::from_slice(&bytes);
        body.map(Body).map_err(|error| ApiError::invalid(format!("the body is not as expected: {error}")))
    }
}

/// The query of a request as `T`.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<State>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<State>) -> Result<Self> {
        let query = extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Query(query.0)).map_err(|error| ApiError::invalid(error.body_text()))
    }
}

/// One value, or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    pub(crate) fn to_vec(&self) -> Vec<T> {
        match self {
            OneOrMany::One(value) => vec![value.clone()],
            OneOrMany::Many(values) => values.clone(),
        }
    }
}

/// Reads null as the default, as the official APIs do.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}
