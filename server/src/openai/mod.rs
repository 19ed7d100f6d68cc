//! The API of OpenAI: chat completions, completions, responses and models.

mod answer;
mod chat;
mod completions;
mod logprobs;
mod message;
mod models;
mod parameters;
mod responses;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::{State, embeddings};

/// Returns the routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/chat/completions/input_tokens", post(chat::count_tokens))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/input_tokens", post(responses::count_tokens))
        .route("/v1/embeddings", post(embeddings::refuse))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::show))
        // llama-server has these too, for clients whose base URL ends before `/v1`.
        .route("/chat/completions", post(chat::complete))
        .route("/chat/completions/input_tokens", post(chat::count_tokens))
        .route("/responses", post(responses::create))
        .route("/embeddings", post(embeddings::refuse))
        .route("/models", get(models::list))
}
