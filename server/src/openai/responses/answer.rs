//! A response as a whole, before and after its output.

use std::sync::Arc;

use serde_json::{Value, json};
use tercet_engine::{Generation, Request, Stop, TokenLogprobs};

use super::parameters::ResponsesRequest;
use crate::error::Result;
use crate::ids::new_id;
use crate::logprobs;
use crate::models::{Model, unix_time};
use crate::sampling::number;

/// How ids of responses begin.
const RESPONSE: &str = "resp_";

/// The part of a response that is known before its output.
pub(super) struct Head {
    id: String,
    model: Arc<Model>,
    response: Value,
}

impl Head {
    /// Returns the beginning of an answer to `body`, which is carried out as `request`.
    ///
    /// # Errors
    /// Fails if the system gives no random numbers.
    pub(super) fn new(model: Arc<Model>, body: &ResponsesRequest, request: &Request) -> Result<Self> {
        let id = new_id(RESPONSE)?;
        let mut response = json!({
            "id": id,
            "object": "response",
            "created_at": unix_time(),
            "status": "in_progress",
            "error": null,
            "incomplete_details": null,
            "model": model.name,
            "output": [],
            "previous_response_id": null,
            "store": false,
            "system_fingerprint": model.fingerprint,
            "temperature": number(request.sampler.temperature),
            "top_p": number(request.sampler.top_p),
            "truncation": "disabled",
            "usage": null,
        });
        if let (Value::Object(response), Value::Object(repeated)) = (&mut response, body.repeated()) {
            response.extend(repeated);
        }
        Ok(Head { id, model, response })
    }

    /// Returns an id for the item with this number, which begins with `prefix`.
    pub(super) fn item_id(&self, prefix: &str, item: usize) -> String {
        format!("{prefix}{}_{item}", self.id.trim_start_matches(RESPONSE))
    }

    /// Returns the response before its output.
    pub(super) fn begun(&self) -> Value {
        self.response.clone()
    }

    /// Returns the response with its output.
    pub(super) fn finished(&self, output: &[Value], generation: &Generation) -> Value {
        let mut response = self.begun();
        response["status"] = status(generation).into();
        if generation.stop == Stop::Length {
            response["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        } else {
            response["completed_at"] = unix_time().into();
        }
        response["output"] = output.into();
        response["usage"] = usage(generation);
        response
    }

    /// Returns the probabilities of tokens.
    pub(super) fn logprobs(&self, tokens: &[TokenLogprobs]) -> Vec<Value> {
        logprobs::entries(&self.model, tokens)
    }
}

/// Returns how an output has ended.
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
