//! A whole message.

use serde_json::{Value, json};
use tercet_engine::{Generation, Stop};

use crate::error::Result;
use crate::ids::new_id;
use crate::models::Model;

/// How ids of messages begin.
const MESSAGE: &str = "msg_";

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
    pub(super) fn message(&self, blocks: Vec<Value>, generation: &Generation) -> Value {
        let mut message = self.empty();
        message["stop_reason"] = stop_reason(generation.stop, &blocks).into();
        message["content"] = blocks.into();
        message["stop_sequence"] = json!(generation.stop_string);
        message["usage"] = usage(generation);
        message
    }

    /// Returns the message before its first token.
    pub(super) fn empty(&self) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": tokens(self.prompt_tokens, 0, 0),
        })
    }
}

/// Returns Anthropic's word for the end of a message.
pub(super) fn stop_reason(stop: Stop, blocks: &[Value]) -> &'static str {
    match stop {
        Stop::Eos | Stop::StopId if blocks.last().is_some_and(|block| block["type"] == "tool_use") => {
            "tool_use"
        }
        Stop::Length => "max_tokens",
        Stop::StopString => "stop_sequence",
        Stop::Eos | Stop::StopId | Stop::Cancelled => "end_turn",
    }
}

/// Returns the tokens that a text took.
pub(super) fn usage(generation: &Generation) -> Value {
    tokens(generation.prompt_tokens, generation.cached_tokens, generation.ids.len())
}

/// Anthropic's `input_tokens` are those that were read anew.
fn tokens(read: usize, cached: usize, generated: usize) -> Value {
    json!({
        "input_tokens": read,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": generated,
    })
}
