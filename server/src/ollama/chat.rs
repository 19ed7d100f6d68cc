//! `POST /api/chat`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tercet_engine::Request;

use super::answer::{Draft, Function, Parts, Reaction};
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::chat::Chat;
use crate::error::{Result, refuse};
use crate::tools::Tools;
use crate::{prompt, shapes};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OllamaChatRequest")]
pub(super) struct ChatRequest {
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "shapes::messages")]
    messages: Vec<Value>,
    #[serde(default)]
    #[schemars(schema_with = "shapes::tools")]
    tools: Option<Vec<Value>>,
    #[serde(flatten)]
    parameters: Parameters,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ChatContent {
    message: OllamaMessage,
}

#[derive(Serialize, JsonSchema)]
struct OllamaMessage {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OllamaCall>,
}

#[derive(Serialize, JsonSchema)]
struct OllamaCall {
    function: Function,
}

impl From<Parts> for ChatContent {
    fn from(Parts { thoughts, content, calls }: Parts) -> Self {
        let tool_calls = calls.into_iter().map(|function| OllamaCall { function }).collect();
        ChatContent { message: OllamaMessage { role: "assistant", content, thinking: thoughts, tool_calls } }
    }
}

pub(super) async fn chat(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ChatRequest>,
) -> Result<Reaction<ChatContent>> {
    let start = Instant::now();
    let ChatRequest { messages, tools, parameters } = body;
    let model = parameters.find(&state)?;
    let draft = Draft::new(&model, &parameters.model, start);
    if messages.is_empty() {
        return Ok(draft.loaded());
    }
    let has_images = |message: &Value| message["images"].as_array().is_some_and(|images| !images.is_empty());
    refuse(&[("images", messages.iter().any(has_images))])?;
    let input = prompt::chat(messages, parameters.template_variables())?;
    let tools = Tools::read(tools, None, None)?;
    let Chat { prompt, grammar, parser } = Chat::new(&model, input, tools, parameters.grammar()?).await?;
    let request = Request { grammar, ..parameters.request(&model, prompt.len())? };
    draft.of_chat(parser).respond(prompt, request, parameters.stream()).await
}
