//! Tokens and prompts without generation: `/tokenize`, `/detokenize` and `/apply-template`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::ChatInput;

use crate::State;
use crate::body::Body;
use crate::error::Result;
use crate::logprobs;
use crate::prompt::plain_messages;
use crate::tools::{self, Tools};

#[derive(Deserialize)]
pub(crate) struct Tokenize {
    model: Option<String>,
    content: String,
    /// Add the tokens that begin a text.
    #[serde(default)]
    add_special: bool,
    /// Tell each token's text.
    #[serde(default)]
    with_pieces: bool,
}

pub(crate) async fn tokenize(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<Tokenize>,
) -> Result<Json<Value>> {
    let session = &state.models.find(body.model.as_deref())?.session;
    let tokens = session.tokenizer().encode(&body.content, body.add_special)?;
    if !body.with_pieces {
        return Ok(Json(json!({ "tokens": tokens })));
    }
    let piece = |&id: &u32| json!({ "id": id, "piece": logprobs::text(session, id) });
    Ok(Json(json!({ "tokens": tokens.iter().map(piece).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
pub(crate) struct Detokenize {
    model: Option<String>,
    tokens: Vec<u32>,
}

pub(crate) async fn detokenize(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<Detokenize>,
) -> Result<Json<Value>> {
    let session = &state.models.find(body.model.as_deref())?.session;
    Ok(Json(json!({ "content": session.tokenizer().decode(&body.tokens, false)? })))
}

#[derive(Deserialize)]
pub(crate) struct ApplyTemplate {
    model: Option<String>,
    #[serde(default = "yes")]
    add_generation_prompt: bool,
    #[serde(flatten)]
    input: ChatInput,
}

fn yes() -> bool {
    true
}

pub(crate) async fn apply_template(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ApplyTemplate>,
) -> Result<Json<Value>> {
    let ApplyTemplate { model, add_generation_prompt, mut input } = body;
    input.messages = plain_messages(input.messages)?;
    input.add_generation_prompt = add_generation_prompt && !input.continue_final_message;
    let model = state.models.find(model.as_deref())?;
    let tools = Tools::read(input.tools.take(), None, None)?;
    tools::prepare(&mut input, tools.as_ref(), model.format);
    Ok(Json(json!({ "prompt": model.render(&input)? })))
}
