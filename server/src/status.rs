//! The state of the server: `/`, `/health`, `/ready` and `/props`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use serde_json::{Value, json};

use crate::State;
use crate::error::Result;

/// Tells clients that probe a server that it lives.
pub(crate) async fn greet() -> &'static str {
    "Tercet is running. Clients of OpenAI, Anthropic and Ollama can use it.\n"
}

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(crate) async fn props(Extract(state): Extract<Arc<State>>) -> Result<Json<Value>> {
    let model = state.models.find(None)?;
    let runtime = model.session.runtime();
    Ok(Json(json!({
        "model_alias": model.name,
        "default_generation_settings": { "n_ctx": model.session.context() },
        "build_info": model.fingerprint(),
        "isa": runtime.isa().name(),
        "threads": runtime.threads(),
    })))
}
