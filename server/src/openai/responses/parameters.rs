//! The body of `POST /v1/responses`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tercet_engine::{ChatInput, Request};

use super::input::{Input, messages};
use crate::body::nullable;
use crate::error::{ApiError, Result, refuse};
use crate::grammar::{self, Asked};
use crate::logprobs::alternatives;
use crate::models::Model;
use crate::prompt;
use crate::sampling::Sampling;
use crate::shapes;
use crate::telemetry::Telemetry;
use crate::tools::Tools;

/// The member of `include` that asks for probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ResponsesRequest {
    /// The name of the model; the default model without one.
    pub(super) model: Option<String>,
    input: Input,
    /// A message of the system, before all others.
    instructions: Option<String>,
    /// Most tokens to generate; all that the context holds without a number.
    max_output_tokens: Option<i64>,
    /// Send the answer as server-sent events.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream: bool,
    #[serde(default, deserialize_with = "nullable")]
    metadata: Map<String, Value>,
    user: Option<String>,
    /// `message.output_text.logprobs` asks for probabilities.
    #[serde(default, deserialize_with = "nullable")]
    include: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(range(max = 20))]
    top_logprobs: usize,
    /// Variables of the chat template, such as `enable_thinking`.
    #[serde(default, deserialize_with = "nullable")]
    chat_template_kwargs: Map<String, Value>,
    /// Functions that the model may call.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    tools: Option<Vec<Value>>,
    /// None, auto, required, or a function with its name.
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    text: Text,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(flatten)]
    pub(super) telemetry: Telemetry,
    #[serde(flatten)]
    #[schemars(skip)]
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
}

#[derive(Deserialize, Default, JsonSchema)]
#[schemars(rename = "ResponseText")]
struct Text {
    #[serde(default)]
    #[schemars(schema_with = "shapes::format")]
    format: Option<Value>,
}

/// The fields of a request that its answer repeats.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Repeated {
    instructions: Option<String>,
    max_output_tokens: Option<i64>,
    metadata: Map<String, Value>,
    parallel_tool_calls: bool,
    text: RepeatedText,
    tool_choice: Value,
    tools: Vec<Value>,
    top_logprobs: usize,
    user: Option<String>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct RepeatedText {
    format: Value,
}

/// Returns a function as chats describe it: its fields are in an object of their own.
fn nested(function: &Value) -> Value {
    match function["type"].as_str() {
        Some("function") => json!({ "type": "function", "function": function }),
        _ => function.clone(),
    }
}

impl ResponsesRequest {
    /// Checks that the server can do what is asked.
    ///
    /// # Errors
    /// Fails with status 400 and the name of the first field that it cannot heed.
    pub(super) fn check(&self) -> Result<()> {
        let Unsupported { previous_response_id, conversation, background, prompt } = &self.unsupported;
        let stored = "this server stores no answers; send the whole conversation in `input`";
        if previous_response_id.is_some() {
            return Err(ApiError::field("previous_response_id", stored));
        }
        if conversation.is_some() {
            return Err(ApiError::field("conversation", stored));
        }
        refuse(&[("background", background.unwrap_or(false)), ("prompt", prompt.is_some())])
    }

    /// Returns the tools that the model may call.
    ///
    /// # Errors
    /// Fails with status 400 if a field is not as expected.
    pub(super) fn tools(&self) -> Result<Option<Tools>> {
        let tools = self.tools.as_ref().map(|tools| tools.iter().map(nested).collect());
        let choice = self.tool_choice.as_ref().map(|choice| match choice {
            Value::Object(_) => nested(choice),
            word => word.clone(),
        });
        Tools::read(tools, choice.as_ref(), self.parallel_tool_calls)
    }

    /// Returns the grammar of the text.
    ///
    /// # Errors
    /// Fails with status 400 if the format is not as expected.
    pub(super) fn grammar(&self) -> Result<Option<Asked>> {
        self.text.format.as_ref().map_or(Ok(None), |format| grammar::of_format("text.format", format))
    }

    /// Returns the fields that an answer repeats.
    pub(super) fn repeated(&self) -> Repeated {
        let function = |tool: &Value| {
            let mut tool = tool.clone();
            // OpenAI's types know no tool without these.
            for field in ["parameters", "strict"] {
                tool.as_object_mut().map(|tool| tool.entry(field).or_insert(Value::Null));
            }
            tool
        };
        Repeated {
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens,
            metadata: self.metadata.clone(),
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            text: RepeatedText { format: self.text.format.clone().unwrap_or(json!({ "type": "text" })) },
            tool_choice: self.tool_choice.clone().unwrap_or("auto".into()),
            tools: self.tools.iter().flatten().map(function).collect(),
            top_logprobs: self.top_logprobs,
            user: self.user.clone(),
        }
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
