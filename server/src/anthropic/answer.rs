//! A whole message.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tercet_engine::{Generation, Stop};

use crate::error::Result;
use crate::ids::new_id;
use crate::models::Model;

/// How ids of messages begin.
const MESSAGE: &str = "msg_";

/// A message, before or after its content.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "MessagesAnswer")]
pub(crate) struct Message {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: String,
    content: Vec<Block>,
    /// Null before the end.
    stop_reason: Option<&'static str>,
    stop_sequence: Option<String>,
    usage: Usage,
}

/// A thought, a text or a call.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text { text: String },
    Thinking { thinking: String, signature: String },
    ToolUse { id: String, name: String, input: Map<String, Value> },
}

/// Tokens that a message took. Anthropic's `input_tokens` are those that were read anew.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "MessagesUsage")]
pub(super) struct Usage {
    input_tokens: usize,
    cache_creation_input_tokens: usize,
    cache_read_input_tokens: usize,
    output_tokens: usize,
}

impl From<&Generation> for Usage {
    fn from(generation: &Generation) -> Self {
        Usage {
            input_tokens: generation.prompt_tokens,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: generation.cached_tokens,
            output_tokens: generation.ids.len(),
        }
    }
}

/// The beginning of a message.
pub(super) struct Head {
    id: String,
    model: String,
    prompt_tokens: usize,
}

impl Head {
    /// Returns the beginning of an answer of `model` to a prompt of `prompt_tokens` tokens, with a new id.
    ///
    /// # Errors
    /// Fails if the system gives no random numbers.
    pub(super) fn new(model: &Model, prompt_tokens: usize) -> Result<Self> {
        Ok(Head { id: new_id(MESSAGE)?, model: model.name.clone(), prompt_tokens })
    }

    /// Returns an id for the call with this number.
    pub(super) fn call_id(&self, call: usize) -> String {
        format!("toolu_{}_{call}", self.id.trim_start_matches(MESSAGE))
    }

    /// Returns the message with these blocks.
    pub(super) fn message(&self, content: Vec<Block>, generation: &Generation) -> Message {
        Message {
            stop_reason: Some(stop_reason(generation.stop, &content)),
            content,
            stop_sequence: generation.stop_string.clone(),
            usage: generation.into(),
            ..self.empty()
        }
    }

    /// Returns the message before its first token.
    pub(super) fn empty(&self) -> Message {
        Message {
            id: self.id.clone(),
            kind: "message",
            role: "assistant",
            model: self.model.clone(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage {
                input_tokens: self.prompt_tokens,
                cache_creation_input_tokens: 0,
                cache_read_input_tokens: 0,
                output_tokens: 0,
            },
        }
    }
}

/// Returns Anthropic's word for the end of a message.
pub(super) fn stop_reason(stop: Stop, blocks: &[Block]) -> &'static str {
    match stop {
        Stop::Eos | Stop::StopId if matches!(blocks.last(), Some(Block::ToolUse { .. })) => "tool_use",
        Stop::Length => "max_tokens",
        Stop::StopString => "stop_sequence",
        Stop::Eos | Stop::StopId | Stop::Cancelled => "end_turn",
    }
}
