//! Embeddings, by the routes of all APIs. No model of this server has any.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::State;
use crate::body::Body;
use crate::error::{ApiError, Result};

#[derive(Deserialize, JsonSchema)]
pub(crate) struct EmbeddingRequest {
    model: Option<String>,
}

pub(crate) async fn refuse(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<EmbeddingRequest>,
) -> Result<Infallible> {
    Err(ApiError::no_embeddings(state.models.find(body.model.as_deref())?))
}
