//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::{Generation, Message};

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
    messages: Vec<ChatMessage>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct ChatMessage {
    role: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl ChatMessage {
    fn message(self) -> Result<Message> {
        let content = match self.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => {
                let texts: Result<Vec<String>> = parts.into_iter().map(Part::text).collect();
                texts?.concat()
            }
        };
        Ok(Message::new(self.role, content))
    }
}

impl Part {
    fn text(self) -> Result<String> {
        let problem = || format!("a part of type {:?} is not supported; send text", self.kind);
        self.text.ok_or_else(|| ApiError::field("messages", &problem()))
    }
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ChatRequest>,
) -> Result<Response> {
    let ChatRequest { messages, logprobs, top_logprobs, parameters } = body;
    let model = Arc::clone(state.models.find(parameters.model.as_deref())?);
    let messages: Vec<Message> = messages.into_iter().map(ChatMessage::message).collect::<Result<_>>()?;
    let prompt = prompt(&model, messages).await?;
    let logprobs = logprobs.unwrap_or(false).then_some(top_logprobs.unwrap_or(0));
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

/// Renders and encodes `messages`.
async fn prompt(model: &Arc<Model>, messages: Vec<Message>) -> Result<Vec<u32>> {
    let model = Arc::clone(model);
    let work = move || {
        let text = model
            .template()?
            .render(&messages, true)
            .map_err(|error| ApiError::invalid(error.to_string()))?;
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
