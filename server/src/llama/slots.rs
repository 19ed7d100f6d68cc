//! `GET /slots`: what runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State as Extract};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::State;
use crate::error::{ApiError, Result};

#[derive(Deserialize)]
pub(super) struct SlotsQuery {
    /// The name of the model; the default model without one.
    model: Option<String>,
    /// 1 asks for an error if every slot is busy.
    fail_on_no_slot: Option<u8>,
}

/// Describes the requests that run. Each has a slot, and the other slots are idle.
pub(super) async fn slots(
    Extract(state): Extract<Arc<State>>,
    Query(query): Query<SlotsQuery>,
) -> Result<Json<Value>> {
    let model = state.models.find(query.model.as_deref())?;
    let running = model.runner.status().await?.running;
    if query.fail_on_no_slot == Some(1) && running.len() >= state.parallel {
        return Err(ApiError::unavailable("every slot is busy: try again later"));
    }
    let slot = |id: usize| {
        let mut slot =
            json!({ "id": id, "n_ctx": model.context, "speculative": false, "is_processing": false });
        if let Some(sequence) = running.get(id) {
            slot["is_processing"] = true.into();
            slot["n_prompt_tokens"] = sequence.prompt_tokens.into();
            slot["n_prompt_tokens_processed"] = sequence.read_tokens.into();
            slot["n_prompt_tokens_cache"] = sequence.cached_tokens.into();
            slot["next_token"] = json!([{ "n_decoded": sequence.generated_tokens }]);
        }
        slot
    };
    Ok(Json((0..state.parallel.max(running.len())).map(slot).collect()))
}
