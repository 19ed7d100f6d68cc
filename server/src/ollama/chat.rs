//! `POST /api/chat`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::Request;

use super::answer::Answer;
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::error::{Result, refuse};
use crate::prompt;

#[derive(Deserialize)]
pub(super) struct ChatRequest {
    #[serde(default, deserialize_with = "nullable")]
    messages: Vec<Value>,
    #[serde(default, deserialize_with = "nullable")]
    tools: Vec<Value>,
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
    let put = |answer: &mut Value, text: &str| {
        answer["message"] = json!({ "role": "assistant", "content": text });
    };
    let answer = Answer { model: Arc::clone(&model), name: parameters.model.clone(), start, put };
    if messages.is_empty() {
        return Ok(answer.loaded());
    }
    let has_images = |message: &Value| message["images"].as_array().is_some_and(|images| !images.is_empty());
    refuse(&[("tools", !tools.is_empty()), ("images", messages.iter().any(has_images))])?;
    let input = prompt::chat(messages, parameters.template_variables())?;
    let prompt = prompt::of_chat(&model, input).await?;
    let grammar = model.matcher(parameters.grammar()?).await?;
    let request = Request { grammar, ..parameters.request(&model, prompt.len())? };
    answer.respond(prompt, request, parameters.stream()).await
}
