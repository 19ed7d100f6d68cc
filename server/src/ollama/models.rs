//! `GET /api/version`, `/api/tags` and `/api/ps`, and `POST /api/show`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::State;
use crate::body::Body;
use crate::error::Result;
use crate::models::Model;

/// The version of Ollama whose API this is. Clients ask for a minimum.
const VERSION: &str = "0.13.0";

/// Ollama's name for the kind of a model, which also begins the names of its numbers.
const ARCHITECTURE: &str = "ternary";

pub(super) async fn version() -> Json<Value> {
    Json(json!({ "version": VERSION }))
}

pub(super) async fn list(Extract(state): Extract<Arc<State>>) -> Json<Value> {
    let models: Vec<Value> = state.models.iter().map(|model| describe(model)).collect();
    Json(json!({ "models": models }))
}

/// All models are loaded for as long as the server runs.
pub(super) async fn running(Extract(state): Extract<Arc<State>>) -> Json<Value> {
    let models = state.models.iter().map(|model| {
        let mut running = describe(model);
        running["size_vram"] = 0.into();
        running["context_length"] = model.context.into();
        running["expires_at"] = Timestamp::MAX.to_string().into();
        running
    });
    Json(json!({ "models": models.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
pub(super) struct ShowRequest {
    #[serde(alias = "name")]
    model: String,
}

pub(super) async fn show(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ShowRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(Some(&body.model))?;
    let config = model.session.model().config();
    let number = |name: &str, value: usize| (format!("{ARCHITECTURE}.{name}"), json!(value));
    let mut numbers = serde_json::Map::from_iter([
        number("context_length", model.context),
        number("embedding_length", config.hidden_size),
        number("feed_forward_length", config.intermediate_size),
        number("block_count", config.layers),
        number("attention.head_count", config.heads),
        number("attention.head_count_kv", config.kv_heads),
        number("vocab_size", config.vocab_size),
    ]);
    numbers.insert("general.architecture".to_owned(), ARCHITECTURE.into());
    numbers.insert("general.parameter_count".to_owned(), model.parameters().into());
    Ok(Json(json!({
        "modified_at": time(model.created),
        "template": model.template_text(),
        "details": details(model),
        "model_info": numbers,
        "capabilities": capabilities(model),
    })))
}

fn describe(model: &Model) -> Value {
    // Ollama's names have a tag.
    let name = if model.name.contains(':') { model.name.clone() } else { format!("{}:latest", model.name) };
    json!({
        "name": name,
        "model": name,
        "modified_at": time(model.created),
        "size": model.bytes(),
        "digest": model.digest(),
        "details": details(model),
    })
}

/// Returns what a client may ask of the model, in Ollama's words.
fn capabilities(model: &Model) -> Vec<&'static str> {
    let chats = model.has_template().then_some("tools");
    let thinks = model.format.thinks.then_some("thinking");
    ["completion"].into_iter().chain(chats).chain(thinks).collect()
}

fn details(model: &Model) -> Value {
    json!({
        "parent_model": "",
        "format": "tercet",
        "family": ARCHITECTURE,
        "families": [ARCHITECTURE],
        "parameter_size": size(model.parameters()),
        "quantization_level": "ternary",
    })
}

/// Writes a number of parameters as Ollama does, such as `2.4B`.
fn size(parameters: usize) -> String {
    let parameters = parameters as f64;
    match parameters {
        billions if billions >= 1e9 => format!("{:.1}B", billions / 1e9),
        millions => format!("{:.1}M", millions / 1e6),
    }
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
