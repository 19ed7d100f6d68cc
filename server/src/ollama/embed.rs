//! `POST /api/embed`, and the older `/api/embeddings` for one text.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::State;
use crate::body::{Body, OneOrMany};
use crate::embeddings::{self, Asked, Embedded, Text};
use crate::error::Result;

#[derive(Deserialize, JsonSchema)]
pub(super) struct EmbedRequest {
    model: String,
    #[serde(default)]
    #[schemars(with = "OneOrMany<Text>")]
    input: Value,
    /// Cut texts that exceed the context. Ollama does so unless told otherwise.
    truncate: Option<bool>,
    dimensions: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EmbedAnswer {
    model: String,
    embeddings: Vec<Vec<f32>>,
    /// Nanoseconds.
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: usize,
}

pub(super) async fn embed(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<EmbedRequest>,
) -> Result<Json<EmbedAnswer>> {
    let start = Instant::now();
    let EmbedRequest { model: name, input, truncate, dimensions } = body;
    let model = Arc::clone(state.models.find(Some(&name))?);
    let asked = Asked { input, prompt_name: None, dimensions, truncate: truncate.unwrap_or(true) };
    let Embedded { vectors, tokens } = embeddings::embed(&model, asked).await?;
    Ok(Json(EmbedAnswer {
        model: name,
        embeddings: vectors,
        total_duration: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        load_duration: 0,
        prompt_eval_count: tokens,
    }))
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct EmbeddingsRequest {
    model: String,
    #[serde(default)]
    prompt: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EmbeddingsAnswer {
    embedding: Vec<f32>,
}

pub(super) async fn embed_one(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<EmbeddingsRequest>,
) -> Result<Json<EmbeddingsAnswer>> {
    let model = Arc::clone(state.models.find(Some(&body.model))?);
    let asked = Asked { input: body.prompt.into(), prompt_name: None, dimensions: None, truncate: true };
    let mut embedded = embeddings::embed(&model, asked).await?;
    Ok(Json(EmbeddingsAnswer { embedding: embedded.vectors.pop().unwrap_or_default() }))
}
