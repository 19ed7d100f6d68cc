//! The body of `POST /v1/messages`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet_engine::ChatInput;

use super::content::{Content, Turn, messages};
use crate::body::nullable;
use crate::error::Result;
use crate::prompt;
use crate::sampling::Sampling;
use crate::tools::Tools;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct MessagesRequest {
    /// The name of the model; the default model without one.
    pub(super) model: Option<String>,
    system: Option<Content>,
    messages: Vec<Turn>,
    /// Most tokens to generate; the rest of the context without a number.
    pub(super) max_tokens: Option<i64>,
    /// Send the answer as server-sent events.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream: bool,
    thinking: Option<Thinking>,
    /// Functions that the model may call, with `name` and `input_schema`.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    tools: Option<Vec<Value>>,
    tool_choice: Option<ToolChoice>,
    #[serde(flatten)]
    sampling: Sampling,
}

#[derive(Deserialize, JsonSchema)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, JsonSchema)]
struct ToolChoice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    disable_parallel_tool_use: bool,
}

impl MessagesRequest {
    /// Returns the chat, the tools that the model may call, and how its tokens are chosen.
    ///
    /// # Errors
    /// Fails with status 400 if a message or a field is not supported.
    pub(super) fn split(self) -> Result<(ChatInput, Option<Tools>, Sampling)> {
        let tools = tools(self.tools, self.tool_choice)?;
        let thinks =
            |thinking: Thinking| ("enable_thinking".to_owned(), (thinking.kind != "disabled").into());
        let variables = self.thinking.map(thinks).into_iter().collect();
        let input = prompt::chat(messages(self.system, self.messages)?, variables)?;
        Ok((input, tools, self.sampling))
    }
}

/// Reads tools and the choice among them, in Anthropic's words.
fn tools(tools: Option<Vec<Value>>, choice: Option<ToolChoice>) -> Result<Option<Tools>> {
    let function = |tool: Value| match tool["type"].as_str() {
        None | Some("custom") => json!({ "type": "function", "function": {
            "name": tool["name"],
            "description": tool["description"],
            "parameters": tool["input_schema"],
        }}),
        // One that Anthropic itself would run.
        Some(kind) => json!({ "type": kind }),
    };
    let tools = tools.map(|tools| tools.into_iter().map(function).collect());
    let parallel = choice.as_ref().map(|choice| !choice.disable_parallel_tool_use);
    let choice = choice.map(|ToolChoice { kind, name, .. }| match kind.as_str() {
        "any" => json!("required"),
        "tool" => json!({ "type": "function", "function": { "name": name } }),
        kind => json!(kind),
    });
    Tools::read(tools, choice.as_ref(), parallel)
}
