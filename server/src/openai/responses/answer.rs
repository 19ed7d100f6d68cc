//! A response as a whole, before and after its text.

use std::sync::Arc;

use serde_json::{Value, json};
use tercet_engine::{Generation, Request, Stop, TokenLogprobs};

use super::parameters::ResponsesRequest;
use crate::error::Result;
use crate::ids::new_id;
use crate::logprobs;
use crate::models::{Model, unix_time};
use crate::sampling::number;

/// The part of a response that is known before its text.
pub(super) struct Head {
    pub(super) item: String,
    model: Arc<Model>,
    response: Value,
}

impl Head {
    /// Returns the beginning of an answer to `body`, which is carried out as `request`.
    ///
    /// # Errors
    /// Fails if the system gives no random numbers.
    pub(super) fn new(model: Arc<Model>, body: &ResponsesRequest, request: &Request) -> Result<Self> {
        let response = json!({
            "id": new_id("resp_")?,
            "object": "response",
            "created_at": unix_time(),
            "status": "in_progress",
            "error": null,
            "incomplete_details": null,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata,
            "model": model.name,
            "output": [],
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "store": false,
            "system_fingerprint": model.fingerprint,
            "temperature": number(request.sampler.temperature),
            "text": { "format": { "type": "text" } },
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": body.top_logprobs,
            "top_p": number(request.sampler.top_p),
            "truncation": "disabled",
            "usage": null,
            "user": body.user,
        });
        Ok(Head { item: new_id("msg_")?, model, response })
    }

    /// Returns the response before its text.
    pub(super) fn begun(&self) -> Value {
        self.response.clone()
    }

    /// Returns the response with its text.
    pub(super) fn finished(&self, generation: &Generation) -> Value {
        let mut response = self.begun();
        response["status"] = status(generation).into();
        if generation.stop == Stop::Length {
            response["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        } else {
            response["completed_at"] = unix_time().into();
        }
        response["output"] = json!([self.message(status(generation), vec![self.part(generation)])]);
        response["usage"] = usage(generation);
        response
    }

    /// Returns the output's only item.
    pub(super) fn message(&self, status: &str, content: Vec<Value>) -> Value {
        json!({ "id": self.item, "type": "message", "status": status, "role": "assistant", "content": content })
    }

    /// Returns the text as a part of the message.
    pub(super) fn part(&self, generation: &Generation) -> Value {
        part(&generation.text, self.logprobs(&generation.logprobs))
    }

    /// Returns the probabilities of tokens.
    pub(super) fn logprobs(&self, tokens: &[TokenLogprobs]) -> Vec<Value> {
        logprobs::entries(&self.model, tokens)
    }
}

/// Returns a text as a part of a message.
pub(super) fn part(text: &str, logprobs: Vec<Value>) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": logprobs })
}

/// Returns how a text has ended.
pub(super) fn status(generation: &Generation) -> &'static str {
    match generation.stop {
        Stop::Length => "incomplete",
        _ => "completed",
    }
}

fn usage(generation: &Generation) -> Value {
    let input = generation.prompt_tokens + generation.cached_tokens;
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": generation.cached_tokens, "cache_write_tokens": 0 },
        "output_tokens": generation.ids.len(),
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": input + generation.ids.len(),
    })
}
