//! `POST /api/chat`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::Request;

use super::answer::{Answer, Parts};
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::chat::Chat;
use crate::error::{Result, refuse};
use crate::prompt;
use crate::tools::Tools;

#[derive(Deserialize)]
pub(super) struct ChatRequest {
    #[serde(default, deserialize_with = "nullable")]
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    #[serde(flatten)]
    parameters: Parameters,
}

pub(super) async fn chat(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ChatRequest>,
) -> Result<Response> {
    let start = Instant::now();
    let ChatRequest { messages, tools, parameters } = body;
    let model = parameters.find(&state)?;
    let answer = Answer::new(&model, &parameters.model, start, put);
    if messages.is_empty() {
        return Ok(answer.loaded());
    }
    let has_images = |message: &Value| message["images"].as_array().is_some_and(|images| !images.is_empty());
    refuse(&[("images", messages.iter().any(has_images))])?;
    let input = prompt::chat(messages, parameters.template_variables())?;
    let tools = Tools::read(tools, None, None)?;
    let Chat { prompt, grammar, parser } = Chat::new(&model, input, tools, parameters.grammar()?).await?;
    let request = Request { grammar, ..parameters.request(&model, prompt.len())? };
    answer.of_chat(parser).respond(prompt, request, parameters.stream()).await
}

fn put(answer: &mut Value, parts: &Parts) {
    let mut message = json!({ "role": "assistant", "content": parts.content });
    if !parts.thoughts.is_empty() {
        message["thinking"] = parts.thoughts.as_str().into();
    }
    if !parts.calls.is_empty() {
        message["tool_calls"] = parts.calls.iter().map(|call| json!({ "function": call })).collect();
    }
    answer["message"] = message;
}
