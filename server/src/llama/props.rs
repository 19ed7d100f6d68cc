//! `GET /props`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::{PLANNED_TOKENS, Session};

use super::answer::Settings;
use crate::State;
use crate::error::Result;
use crate::logprobs::text;

#[derive(Serialize, JsonSchema)]
pub(super) struct Props {
    default_generation_settings: Defaults,
    total_slots: usize,
    model_alias: String,
    model_path: String,
    /// The chat template, empty without one.
    chat_template: String,
    modalities: Modalities,
    bos_token: String,
    eos_token: String,
    build_info: String,
    isa: &'static str,
    packing: String,
    /// The kernels of the largest matrices, by what they are for.
    kernels: BTreeMap<String, String>,
    threads: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LlamaDefaults")]
struct Defaults {
    params: Settings,
    n_ctx: usize,
}

#[derive(Serialize, JsonSchema)]
struct Modalities {
    vision: bool,
    audio: bool,
}

/// Describes the default model and the machine.
pub(super) async fn props(Extract(state): Extract<Arc<State>>) -> Result<Json<Props>> {
    let model = state.models.find(None)?;
    let (session, config) = (&model.session, model.session.model().config());
    let token = |id: Option<&u32>| id.map_or(String::new(), |&id| text(session, id));
    let runtime = session.runtime();
    // A completion goes on until the context is full, and each draws a seed.
    let mut params = Settings::from(&session.request());
    (params.n_predict, params.seed) = (-1, -1);
    Ok(Json(Props {
        default_generation_settings: Defaults { params, n_ctx: model.context },
        total_slots: state.parallel,
        model_alias: model.name.clone(),
        model_path: session.files().name().to_owned(),
        chat_template: model.template_text().to_owned(),
        modalities: Modalities { vision: false, audio: false },
        bos_token: token(config.bos_token_id.as_ref()),
        eos_token: token(config.eos_token_ids.first()),
        build_info: model.fingerprint.clone(),
        isa: runtime.isa().name(),
        packing: runtime.packing().to_string(),
        kernels: kernels(session),
        threads: runtime.threads(),
    }))
}

/// Returns the kernels of the largest matrices, by the names of [`PLANNED_TOKENS`].
fn kernels(session: &Session) -> BTreeMap<String, String> {
    let largest = session.model().kernels().plans().max_by_key(|((n, k), _)| n * k);
    let plans = largest.into_iter().flat_map(|(_, plans)| PLANNED_TOKENS.into_iter().zip(plans));
    plans.map(|((tokens, _), plan)| (tokens.to_owned(), plan.spec.to_string())).collect()
}
