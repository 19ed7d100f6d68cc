//! `GET /api/version`, `/api/tags` and `/api/ps`, and `POST /api/show`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::State;
use crate::body::Body;
use crate::error::Result;
use crate::models::Model;

/// The version of Ollama whose API this is. Clients ask for a minimum.
const VERSION: &str = "0.13.0";

/// Ollama's name for the kind of a model, which also begins the names of its numbers.
const ARCHITECTURE: &str = "ternary";

#[derive(Serialize, JsonSchema)]
pub(super) struct Version {
    version: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct List<T> {
    models: Vec<T>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OllamaModel {
    name: String,
    model: String,
    modified_at: String,
    size: usize,
    digest: String,
    details: Details,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RunningModel {
    #[serde(flatten)]
    model: OllamaModel,
    size_vram: usize,
    context_length: usize,
    expires_at: String,
}

#[derive(Serialize, JsonSchema)]
struct Details {
    parent_model: &'static str,
    format: &'static str,
    family: &'static str,
    families: [&'static str; 1],
    parameter_size: String,
    quantization_level: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ShownModel {
    modified_at: String,
    /// The chat template.
    template: String,
    details: Details,
    model_info: Map<String, Value>,
    capabilities: Vec<&'static str>,
}

pub(super) async fn version(_: Extract<Arc<State>>) -> Result<Json<Version>> {
    Ok(Json(Version { version: VERSION }))
}

pub(super) async fn list(Extract(state): Extract<Arc<State>>) -> Result<Json<List<OllamaModel>>> {
    Ok(Json(List { models: state.models.iter().map(|model| describe(model)).collect() }))
}

/// All models are loaded for as long as the server runs.
pub(super) async fn running(Extract(state): Extract<Arc<State>>) -> Result<Json<List<RunningModel>>> {
    let running = |model: &Arc<Model>| RunningModel {
        model: describe(model),
        size_vram: 0,
        context_length: model.context,
        expires_at: Timestamp::MAX.to_string(),
    };
    Ok(Json(List { models: state.models.iter().map(running).collect() }))
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ShowRequest {
    /// The model. `name` is another name of this field.
    #[serde(alias = "name")]
    model: String,
}

pub(super) async fn show(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ShowRequest>,
) -> Result<Json<ShownModel>> {
    let model = state.models.find(Some(&body.model))?;
    let config = model.session.model().config();
    let number = |name: &str, value: usize| (format!("{ARCHITECTURE}.{name}"), json!(value));
    let mut numbers = Map::from_iter([
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
    Ok(Json(ShownModel {
        modified_at: time(model.created),
        template: model.template_text().to_owned(),
        details: details(model),
        model_info: numbers,
        capabilities: capabilities(model),
    }))
}

fn describe(model: &Model) -> OllamaModel {
    // Ollama's names have a tag.
    let name = if model.name.contains(':') { model.name.clone() } else { format!("{}:latest", model.name) };
    OllamaModel {
        model: name.clone(),
        name,
        modified_at: time(model.created),
        size: model.bytes(),
        digest: model.digest(),
        details: details(model),
    }
}

/// Returns what a client may ask of the model, in Ollama's words.
fn capabilities(model: &Model) -> Vec<&'static str> {
    if model.embeddings.exist() {
        return vec!["embedding"];
    }
    let chats = model.has_template().then_some("tools");
    let thinks = model.format.thinks.then_some("thinking");
    ["completion"].into_iter().chain(chats).chain(thinks).collect()
}

fn details(model: &Model) -> Details {
    Details {
        parent_model: "",
        format: "tercet",
        family: ARCHITECTURE,
        families: [ARCHITECTURE],
        parameter_size: size(model.parameters()),
        quantization_level: "ternary",
    }
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
