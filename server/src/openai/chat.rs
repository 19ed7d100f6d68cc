//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet_engine::{ChatInput, Generation};

use super::answer::{Head, finish_reason};
use super::logprobs;
use super::parameters::Parameters;
use super::usage::Usage;
use crate::State;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::reply::{Piece, Reply};

#[derive(Deserialize)]
pub(crate) struct ChatRequest {
    messages: Vec<Value>,
    #[serde(default)]
    continue_final_message: bool,
    #[serde(default)]
    chat_template_kwargs: Map<String, Value>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    parameters: Parameters,
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ChatRequest>,
) -> Result<Response> {
    let ChatRequest { messages, continue_final_message, chat_template_kwargs, parameters, .. } = body;
    let model = Arc::clone(state.models.find(parameters.model.as_deref())?);
    let input = ChatInput {
        messages: messages.into_iter().map(flat).collect::<Result<_>>()?,
        add_generation_prompt: !continue_final_message,
        continue_final_message,
        chat_template_kwargs,
        ..ChatInput::default()
    };
    let prompt = prompt(&model, input).await?;
    let logprobs = body.logprobs.unwrap_or(false).then_some(body.top_logprobs.unwrap_or(0));
    let requests = parameters.requests(&model.session, prompt.len(), None, logprobs)?;
    let jobs = requests.into_iter().map(|request| (prompt.clone(), request));
    let reply = Reply::start(&model, jobs).await?;
    let head = Head::new("chatcmpl", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        return reply.stream(move |piece| chunks(&head, &model, piece, usage)).await;
    }
    Ok(Json(whole(&head, &model, &reply.finish().await?)).into_response())
}

/// Returns a message whose parts are joined to one text, which every template understands.
///
/// # Errors
/// Fails if a part is not text.
pub(crate) fn flat(mut message: Value) -> Result<Value> {
    if let Some(Value::Array(parts)) = message.get("content") {
        let texts: Result<Vec<&str>> = parts.iter().map(part).collect();
        message["content"] = Value::String(texts?.concat());
    }
    Ok(message)
}

fn part(part: &Value) -> Result<&str> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let problem = || format!("a part of type {kind:?} is not supported; send text");
    part.get("text").and_then(Value::as_str).ok_or_else(|| ApiError::field("messages", &problem()))
}

/// Renders and encodes the prompt.
async fn prompt(model: &Arc<Model>, input: ChatInput) -> Result<Vec<u32>> {
    let model = Arc::clone(model);
    let work = move || {
        let text = model.render(&input)?;
        Ok(model.session.tokenizer().encode(&text, false)?)
    };
    let task = tokio::task::spawn_blocking(work).await;
    task.map_err(|_| ApiError::internal("the chat template has failed"))?
}

fn whole(head: &Head, model: &Model, generations: &[Generation]) -> Value {
    let choice = |(index, generation): (usize, &Generation)| {
        json!({
            "index": index,
            "message": { "role": "assistant", "content": generation.text, "refusal": null },
            "finish_reason": finish_reason(generation.stop),
            "logprobs": logprobs::of_chat(model, &generation.logprobs),
        })
    };
    let choices = generations.iter().enumerate().map(choice).collect();
    head.answer("chat.completion", choices, Some(Usage::of(generations)))
}

fn chunks(head: &Head, model: &Model, piece: Piece<'_>, usage: bool) -> Vec<Value> {
    const OBJECT: &str = "chat.completion.chunk";
    let chunk = |index: usize, delta: Value, logprobs: Value, finish_reason: Option<&str>| {
        let choice =
            json!({ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason });
        vec![head.answer(OBJECT, vec![choice], None)]
    };
    match piece {
        Piece::Start { index } => {
            chunk(index, json!({ "role": "assistant", "content": "" }), Value::Null, None)
        }
        Piece::Step { index, step } => {
            let logprobs = logprobs::of_chat(model, &step.logprobs);
            chunk(index, json!({ "content": step.text }), logprobs, None)
        }
        Piece::End { index, generation } => {
            chunk(index, json!({}), Value::Null, Some(finish_reason(generation.stop)))
        }
        Piece::All { generations } if usage => {
            vec![head.answer(OBJECT, Vec::new(), Some(Usage::of(generations)))]
        }
        Piece::All { .. } => Vec::new(),
    }
}
