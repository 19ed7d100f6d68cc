//! The API of Ollama, so that its clients find this server.

mod answer;
mod chat;
mod embed;
mod error;
mod generate;
mod models;
mod parameters;

use axum::routing::any;

use crate::error::ApiError;
use crate::openapi::Api;

use error::ErrorAnswer;

/// Returns the routes.
pub(crate) fn routes() -> Api<ErrorAnswer> {
    Api::new("Ollama")
        .get("/api/version", "Tell the version of Ollama whose API this is", models::version)
        .get("/api/tags", "List the models", models::list)
        .get("/api/ps", "List the models that are loaded", models::running)
        .post("/api/show", "Describe a model", models::show)
        .post("/api/chat", "Write the next message", chat::chat)
        .post("/api/generate", "Write an answer or continue a text", generate::generate)
        .post("/api/embed", "Turn texts into vectors", embed::embed)
        .post("/api/embeddings", "Turn a text into a vector", embed::embed_one)
        .hidden("/api/{*rest}", any(unknown))
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such route; models are chosen by `tercet serve -m MODEL`")
}
