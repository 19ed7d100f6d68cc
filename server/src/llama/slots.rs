//! `GET /slots`: what runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tercet_engine::SequenceStatus;

use crate::State;
use crate::body::Query;
use crate::error::{ApiError, Result};

#[derive(Deserialize, JsonSchema)]
pub(super) struct SlotsQuery {
    /// The name of the model; the default model without one.
    model: Option<String>,
    /// 1 asks for an error if every slot is busy.
    fail_on_no_slot: Option<u8>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Slot {
    id: usize,
    n_ctx: usize,
    speculative: bool,
    is_processing: bool,
    #[serde(flatten)]
    running: Option<Running>,
}

/// The state of a request that runs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BusySlot")]
struct Running {
    n_prompt_tokens: usize,
    n_prompt_tokens_processed: usize,
    n_prompt_tokens_cache: usize,
    next_token: [NextToken; 1],
}

#[derive(Serialize, JsonSchema)]
struct NextToken {
    n_decoded: usize,
}

impl From<&SequenceStatus> for Running {
    fn from(sequence: &SequenceStatus) -> Self {
        Running {
            n_prompt_tokens: sequence.prompt_tokens,
            n_prompt_tokens_processed: sequence.read_tokens,
            n_prompt_tokens_cache: sequence.cached_tokens,
            next_token: [NextToken { n_decoded: sequence.generated_tokens }],
        }
    }
}

/// Describes the requests that run. Each has a slot, and the other slots are idle.
pub(super) async fn slots(
    Extract(state): Extract<Arc<State>>,
    Query(query): Query<SlotsQuery>,
) -> Result<Json<Vec<Slot>>> {
    let model = state.models.find(query.model.as_deref())?;
    let running = model.runner.status().await?.running;
    if query.fail_on_no_slot == Some(1) && running.len() >= state.parallel {
        return Err(ApiError::unavailable("every slot is busy: try again later"));
    }
    let slot = |id: usize| {
        let running = running.get(id).map(Running::from);
        let is_processing = running.is_some();
        Slot { id, n_ctx: model.context, speculative: false, is_processing, running }
    };
    Ok(Json((0..state.parallel.max(running.len())).map(slot).collect()))
}
