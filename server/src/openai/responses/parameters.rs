//! The body of `POST /v1/responses`.

use serde::Deserialize;
use serde_json::{Map, Value};
use tercet_engine::{ChatInput, Request};

use super::input::{Input, messages};
use crate::body::nullable;
use crate::error::{ApiError, Result, refuse};
use crate::logprobs::alternatives;
use crate::models::Model;
use crate::prompt;
use crate::sampling::Sampling;

/// The member of `include` that asks for probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";

#[derive(Deserialize)]
pub(crate) struct ResponsesRequest {
    /// The name of the model; the default model without one.
    pub(super) model: Option<String>,
    input: Input,
    pub(super) instructions: Option<String>,
    pub(super) max_output_tokens: Option<i64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) metadata: Map<String, Value>,
    pub(super) user: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    include: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) top_logprobs: usize,
    #[serde(default, deserialize_with = "nullable")]
    chat_template_kwargs: Map<String, Value>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(flatten)]
    unsupported: Unsupported,
}

/// Fields that need a store of answers, or that would change the text and cannot be heeded.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Unsupported {
    previous_response_id: Option<String>,
    conversation: Option<Value>,
    background: Option<bool>,
    prompt: Option<Value>,
    tools: Option<Vec<Value>>,
    text: Option<Text>,
}

#[derive(Deserialize)]
struct Text {
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
}

impl ResponsesRequest {
    /// Checks that the server can do what is asked.
    ///
    /// # Errors
    /// Fails with status 400 and the name of the first field that it cannot heed.
    pub(super) fn check(&self) -> Result<()> {
        let Unsupported { previous_response_id, conversation, background, prompt, tools, text } =
            &self.unsupported;
        let stored = "this server stores no answers; send the whole conversation in `input`";
        if previous_response_id.is_some() {
            return Err(ApiError::field("previous_response_id", stored));
        }
        if conversation.is_some() {
            return Err(ApiError::field("conversation", stored));
        }
        let format = text.as_ref().and_then(|text| text.format.as_ref());
        refuse(&[
            ("background", background.unwrap_or(false)),
            ("prompt", prompt.is_some()),
            ("tools", tools.as_ref().is_some_and(|tools| !tools.is_empty())),
            ("text.format", format.is_some_and(|format| format.kind != "text")),
        ])
    }

    /// Returns the chat.
    ///
    /// # Errors
    /// Fails with status 400 if an item of the input is not supported.
    pub(super) fn chat(&self) -> Result<ChatInput> {
        let messages = messages(self.instructions.as_deref(), &self.input)?;
        prompt::chat(messages, self.chat_template_kwargs.clone())
    }

    /// Returns the request after a prompt of `prompt_tokens` tokens.
    ///
    /// # Errors
    /// Fails with status 400 if a field is out of range.
    pub(super) fn request(&self, model: &Model, prompt_tokens: usize) -> Result<Request> {
        let asked = self.include.iter().any(|part| part == LOGPROBS);
        let logprobs = alternatives(asked.then_some(self.top_logprobs))?;
        let request = self.sampling.request(model, prompt_tokens, self.max_output_tokens)?;
        Ok(Request { logprobs, ..request })
    }
}
