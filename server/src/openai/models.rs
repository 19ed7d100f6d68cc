//! `GET /v1/models` and `GET /v1/models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use schemars::JsonSchema;
use serde::Serialize;

use crate::State;
use crate::error::Result;
use crate::models::Model;

#[derive(Serialize, JsonSchema)]
pub(crate) struct ModelList {
    object: &'static str,
    data: Vec<ListedModel>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub(crate) struct ListedModel {
    id: String,
    aliases: Vec<String>,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    meta: ModelSizes,
}

#[derive(Serialize, JsonSchema)]
struct ModelSizes {
    n_vocab: usize,
    /// Tokens of the longest context that the model was trained for.
    n_ctx_train: usize,
    /// Tokens of the longest context here.
    n_ctx: usize,
    n_embd: usize,
    n_params: usize,
    /// Bytes of the weights.
    size: usize,
}

pub(crate) async fn list(Extract(state): Extract<Arc<State>>) -> Result<Json<ModelList>> {
    let data = state.models.iter().map(|model| describe(model)).collect();
    Ok(Json(ModelList { object: "list", data }))
}

pub(crate) async fn show(
    Extract(state): Extract<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<ListedModel>> {
    Ok(Json(describe(state.models.find(Some(&name))?)))
}

fn describe(model: &Model) -> ListedModel {
    let config = model.session.model().config();
    ListedModel {
        id: model.name.clone(),
        aliases: model.aliases.clone(),
        object: "model",
        created: model.created,
        owned_by: "tercet",
        meta: ModelSizes {
            n_vocab: config.vocab_size,
            n_ctx_train: config.max_positions,
            n_ctx: model.context,
            n_embd: config.hidden_size,
            n_params: model.parameters(),
            size: model.bytes(),
        },
    }
}
