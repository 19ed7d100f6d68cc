//! A response as a whole, before and after its output.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tercet_engine::{Generation, Request, Stop, TokenLogprobs};

use super::parameters::{Repeated, ResponsesRequest};
use crate::error::Result;
use crate::ids::new_id;
use crate::logprobs::{self, TokenEntry};
use crate::models::{Model, unix_time};
use crate::sampling::number;

/// How ids of responses begin.
const RESPONSE: &str = "resp_";

/// A response, before or after its output.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Response {
    id: String,
    object: &'static str,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<u64>,
    /// In progress, completed or incomplete.
    status: &'static str,
    /// Always null.
    error: Option<String>,
    incomplete_details: Option<Incomplete>,
    model: String,
    output: Vec<OutputItem>,
    /// Always null.
    previous_response_id: Option<String>,
    store: bool,
    system_fingerprint: String,
    temperature: f64,
    top_p: f64,
    truncation: &'static str,
    usage: Option<ResponseUsage>,
    #[serde(flatten)]
    repeated: Repeated,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Incomplete {
    reason: &'static str,
}

/// An item of the output.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OutputItem {
    Message {
        id: String,
        status: &'static str,
        role: &'static str,
        content: Vec<OutputPart>,
    },
    Reasoning {
        id: String,
        status: &'static str,
        /// Always empty.
        summary: Vec<Value>,
        content: Vec<OutputPart>,
    },
    FunctionCall {
        id: String,
        status: &'static str,
        call_id: String,
        name: String,
        /// JSON.
        arguments: String,
    },
}

#[derive(Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OutputPart {
    OutputText {
        text: String,
        /// Always empty.
        annotations: Vec<Value>,
        logprobs: Vec<TokenEntry>,
    },
    ReasoningText {
        text: String,
    },
}

#[derive(Clone, Serialize, JsonSchema)]
struct ResponseUsage {
    input_tokens: usize,
    input_tokens_details: InputDetails,
    output_tokens: usize,
    output_tokens_details: OutputDetails,
    total_tokens: usize,
}

#[derive(Clone, Serialize, JsonSchema)]
struct InputDetails {
    cached_tokens: usize,
    cache_write_tokens: usize,
}

#[derive(Clone, Serialize, JsonSchema)]
struct OutputDetails {
    reasoning_tokens: usize,
}

impl From<&Generation> for ResponseUsage {
    fn from(generation: &Generation) -> Self {
        let input_tokens = generation.prompt_tokens + generation.cached_tokens;
        let output_tokens = generation.ids.len();
        ResponseUsage {
            input_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: generation.cached_tokens,
                cache_write_tokens: 0,
            },
            output_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: 0 },
            total_tokens: input_tokens + output_tokens,
        }
    }
}

/// The part of a response that is known before its output.
pub(super) struct Head {
    model: Arc<Model>,
    response: Response,
}

impl Head {
    /// Returns the beginning of an answer to `body`, which is carried out as `request`.
    ///
    /// # Errors
    /// Fails if the system gives no random numbers.
    pub(super) fn new(model: Arc<Model>, body: &ResponsesRequest, request: &Request) -> Result<Self> {
        let response = Response {
            id: new_id(RESPONSE)?,
            object: "response",
            created_at: unix_time(),
            completed_at: None,
            status: "in_progress",
            error: None,
            incomplete_details: None,
            model: model.name.clone(),
            output: Vec::new(),
            previous_response_id: None,
            store: false,
            system_fingerprint: model.fingerprint.clone(),
            temperature: number(request.sampler.temperature),
            top_p: number(request.sampler.top_p),
            truncation: "disabled",
            usage: None,
            repeated: body.repeated(),
        };
        Ok(Head { model, response })
    }

    /// Returns an id for the item with this number, which begins with `prefix`.
    pub(super) fn item_id(&self, prefix: &str, item: usize) -> String {
        format!("{prefix}{}_{item}", self.response.id.trim_start_matches(RESPONSE))
    }

    /// Returns the response before its output.
    pub(super) fn begun(&self) -> &Response {
        &self.response
    }

    /// Returns the response with its output.
    pub(super) fn finished(&self, output: Vec<OutputItem>, generation: &Generation) -> Response {
        let is_cut = generation.stop == Stop::Length;
        Response {
            status: status(generation),
            incomplete_details: is_cut.then_some(Incomplete { reason: "max_output_tokens" }),
            completed_at: (!is_cut).then(unix_time),
            output,
            usage: Some(generation.into()),
            ..self.response.clone()
        }
    }

    /// Returns the probabilities of tokens.
    pub(super) fn logprobs(&self, tokens: &[TokenLogprobs]) -> Vec<TokenEntry> {
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
