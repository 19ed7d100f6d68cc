//! The state of the server: `/`, `/health` and `/ready`.

use axum::Json;
use serde_json::{Value, json};

/// Tells clients that probe a server that it lives.
pub(crate) async fn greet() -> &'static str {
    "Tercet is running. Clients of OpenAI, Anthropic and Ollama can use it.\n"
}

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
