//! The body of `POST /v1/messages`.

use serde::Deserialize;
use serde_json::Value;
use tercet_engine::ChatInput;

use super::content::{Content, Turn, messages};
use crate::body::nullable;
use crate::error::{Result, refuse};
use crate::prompt;
use crate::sampling::Sampling;

#[derive(Deserialize)]
pub(super) struct MessagesRequest {
    /// The name of the model; the default model without one.
    pub(super) model: Option<String>,
    system: Option<Content>,
    messages: Vec<Turn>,
    /// Most tokens to generate; the rest of the context without a number.
    pub(super) max_tokens: Option<i64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream: bool,
    thinking: Option<Thinking>,
    #[serde(default, deserialize_with = "nullable")]
    tools: Vec<Value>,
    #[serde(flatten)]
    sampling: Sampling,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
}

impl MessagesRequest {
    /// Returns the chat, and how its tokens are chosen.
    ///
    /// # Errors
    /// Fails with status 400 if a message or a field is not supported.
    pub(super) fn split(self) -> Result<(ChatInput, Sampling)> {
        refuse(&[("tools", !self.tools.is_empty())])?;
        let thinks =
            |thinking: Thinking| ("enable_thinking".to_owned(), (thinking.kind != "disabled").into());
        let variables = self.thinking.map(thinks).into_iter().collect();
        let input = prompt::chat(messages(self.system, self.messages)?, variables)?;
        Ok((input, self.sampling))
    }
}
