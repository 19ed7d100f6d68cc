//! The state of the server: `/health` and `/ready`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use serde_json::{Value, json};

use crate::State;
use crate::error::Result;

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Tells whether new requests are answered.
pub(crate) async fn ready(Extract(state): Extract<Arc<State>>) -> Result<Json<Value>> {
    state.drain.check()?;
    Ok(health().await)
}
