//! `GET /props`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use serde_json::{Map, Value, json};
use tercet_engine::{PLANNED_TOKENS, Session};

use super::answer::settings;
use crate::State;
use crate::error::Result;
use crate::logprobs::text;

/// Describes the default model and the machine.
pub(super) async fn props(Extract(state): Extract<Arc<State>>) -> Result<Json<Value>> {
    let model = state.models.find(None)?;
    let (session, config) = (&model.session, model.session.model().config());
    let mut params = settings(&session.request());
    // A completion goes on until the context is full, and each draws a seed.
    (params["n_predict"], params["seed"]) = (json!(-1), json!(-1));
    let token = |id: Option<&u32>| id.map_or(String::new(), |&id| text(session, id));
    let runtime = session.runtime();
    Ok(Json(json!({
        "default_generation_settings": { "params": params, "n_ctx": model.context },
        "total_slots": state.parallel,
        "model_alias": model.name,
        "model_path": session.files().name(),
        "chat_template": model.template_text(),
        "modalities": { "vision": false, "audio": false },
        "bos_token": token(config.bos_token_id.as_ref()),
        "eos_token": token(config.eos_token_ids.first()),
        "build_info": model.fingerprint,
        "isa": runtime.isa().name(),
        "packing": runtime.packing().to_string(),
        "kernels": kernels(session),
        "threads": runtime.threads(),
    })))
}

/// Returns the kernels of the largest matrices, by the names of [`PLANNED_TOKENS`].
fn kernels(session: &Session) -> Map<String, Value> {
    let largest = session.model().kernels().plans().max_by_key(|((n, k), _)| n * k);
    let plans = largest.into_iter().flat_map(|(_, plans)| PLANNED_TOKENS.into_iter().zip(plans));
    plans.map(|((tokens, _), plan)| (tokens.to_owned(), json!(plan.spec.to_string()))).collect()
}
