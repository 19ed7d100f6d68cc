//! The state of the server: `/health` and `/ready`.

use axum::Json;
use serde_json::{Value, json};

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
