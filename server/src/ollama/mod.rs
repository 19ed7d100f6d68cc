//! The API of Ollama, so that its clients find this server.

mod answer;
mod chat;
mod error;
mod generate;
mod models;
mod parameters;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};

use crate::error::ApiError;
use crate::{State, embeddings};

pub(crate) use error::word;

/// Returns the routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/api/version", get(models::version))
        .route("/api/tags", get(models::list))
        .route("/api/ps", get(models::running))
        .route("/api/show", post(models::show))
        .route("/api/chat", post(chat::chat))
        .route("/api/generate", post(generate::generate))
        .route("/api/embed", post(embeddings::refuse))
        .route("/api/embeddings", post(embeddings::refuse))
        .route("/api/{*rest}", any(unknown))
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such route; models are chosen by `tercet serve -m MODEL`")
}
