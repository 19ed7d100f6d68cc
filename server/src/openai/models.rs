//! `GET /v1/models` and `GET /v1/models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use serde_json::{Value, json};

use crate::State;
use crate::error::Result;
use crate::models::Model;

pub(crate) async fn list(Extract(state): Extract<Arc<State>>) -> Json<Value> {
    let models: Vec<Value> = state.models.iter().map(|model| describe(model)).collect();
    Json(json!({ "object": "list", "data": models }))
}

pub(crate) async fn show(
    Extract(state): Extract<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<Value>> {
    Ok(Json(describe(state.models.find(Some(&name))?)))
}

fn describe(model: &Model) -> Value {
    let config = model.session.model().config();
    json!({
        "id": model.name,
        "aliases": model.aliases,
        "object": "model",
        "created": model.created,
        "owned_by": "tercet",
        "meta": {
            "n_vocab": config.vocab_size,
            "n_ctx_train": config.max_positions,
            "n_ctx": model.context,
            "n_embd": config.hidden_size,
            "n_params": model.parameters(),
            "size": model.bytes(),
        },
    })
}
