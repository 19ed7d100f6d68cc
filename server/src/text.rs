//! Tokens and prompts without generation: `/tokenize`, `/detokenize` and `/apply-template`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tercet_engine::ChatInput;

use crate::State;
use crate::body::{Body, nullable};
use crate::error::Result;
use crate::prompt::plain_messages;
use crate::tools::{self, Tools};
use crate::{logprobs, prompt, shapes};

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Tokenize {
    /// The name of the model; the default model without one.
    model: Option<String>,
    content: String,
    /// Add the tokens that begin a text.
    #[serde(default, deserialize_with = "nullable")]
    add_special: bool,
    /// Tell each token's text.
    #[serde(default, deserialize_with = "nullable")]
    with_pieces: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Tokens {
    tokens: Vec<Token>,
}

/// A token, or a token with its text.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Token {
    Id(u32),
    Piece { id: u32, piece: String },
}

pub(crate) async fn tokenize(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<Tokenize>,
) -> Result<Json<Tokens>> {
    let model = state.models.find(body.model.as_deref())?;
    let Tokenize { content, add_special, with_pieces, .. } = body;
    let tokens = prompt::encode(model, move |model| {
        let token = |id: u32| match with_pieces {
            true => Token::Piece { id, piece: logprobs::text(&model.session, id) },
            false => Token::Id(id),
        };
        Ok(model.session.tokenizer().encode(&content, add_special)?.into_iter().map(token).collect())
    });
    Ok(Json(Tokens { tokens: tokens.await? }))
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Detokenize {
    /// The name of the model; the default model without one.
    model: Option<String>,
    tokens: Vec<u32>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct TokensText {
    content: String,
}

pub(crate) async fn detokenize(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<Detokenize>,
) -> Result<Json<TokensText>> {
    let model = state.models.find(body.model.as_deref())?;
    let content =
        prompt::encode(model, move |model| Ok(model.session.tokenizer().decode(&body.tokens, false)?));
    Ok(Json(TokensText { content: content.await? }))
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ApplyTemplate {
    /// The name of the model; the default model without one.
    model: Option<String>,
    #[schemars(schema_with = "shapes::messages")]
    messages: Vec<Value>,
    #[serde(default)]
    #[schemars(schema_with = "shapes::tools")]
    tools: Option<Vec<Value>>,
    /// Documents that the model may read, with `title` and `text`.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    documents: Option<Vec<Value>>,
    /// Begin an answer, as by default unless the last message goes on.
    add_generation_prompt: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    continue_final_message: bool,
    /// Variables of the chat template, such as `enable_thinking`.
    #[serde(default, deserialize_with = "nullable")]
    chat_template_kwargs: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Prompt {
    prompt: String,
}

pub(crate) async fn apply_template(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ApplyTemplate>,
) -> Result<Json<Prompt>> {
    let model = state.models.find(body.model.as_deref())?;
    let continue_final_message = body.continue_final_message;
    let mut input = ChatInput {
        messages: plain_messages(body.messages)?,
        documents: body.documents,
        add_generation_prompt: body.add_generation_prompt.unwrap_or(true) && !continue_final_message,
        continue_final_message,
        chat_template_kwargs: body.chat_template_kwargs,
        ..ChatInput::default()
    };
    let tools = Tools::read(body.tools, None, None)?;
    tools::prepare(&mut input, tools.as_ref(), model.format);
    Ok(Json(Prompt { prompt: prompt::encode(model, move |model| model.render(&input)).await? }))
}
