//! Fields that `/api/chat` and `/api/generate` share.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tercet_engine::{Grammar, Request};

use crate::State;
use crate::body::nullable;
use crate::error::{ApiError, Result};
use crate::grammar::Asked;
use crate::logprobs::alternatives;
use crate::models::Model;
use crate::sampling::Sampling;
use crate::shapes;

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OllamaParameters")]
pub(super) struct Parameters {
    pub(super) model: String,
    /// Send the answer line by line, as by default.
    stream: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    options: Options,
    /// `json`, or a JSON schema.
    #[serde(default)]
    #[schemars(schema_with = "shapes::json_or_schema")]
    format: Option<Value>,
    /// Think before the answer, if the model can.
    think: Option<Value>,
    #[serde(default, deserialize_with = "nullable")]
    logprobs: bool,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(range(max = 20))]
    top_logprobs: usize,
}

/// Options of the model. Those about memory and threads are the server's own.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
#[schemars(rename = "OllamaOptions")]
struct Options {
    /// Most tokens to generate. Less than 0 stands for all that the context holds.
    num_predict: Option<i64>,
    #[serde(flatten)]
    sampling: Sampling,
}

impl Parameters {
    /// Returns the model.
    ///
    /// # Errors
    /// Fails with status 404 if there is no such model.
    pub(super) fn find(&self, state: &State) -> Result<Arc<Model>> {
        state.models.find(Some(&self.model)).map(Arc::clone)
    }

    /// Returns true unless the client wants the answer as a whole.
    pub(super) fn stream(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Returns variables of the chat template.
    pub(super) fn template_variables(&self) -> Map<String, Value> {
        let thinks = self.think.iter().map(|think| think != false);
        thinks.map(|thinks| ("enable_thinking".to_owned(), thinks.into())).collect()
    }

    /// Returns the grammar of `format`: JSON, or JSON that is valid by a schema.
    ///
    /// # Errors
    /// Fails with status 400 if it is neither.
    pub(super) fn grammar(&self) -> Result<Option<Asked>> {
        let grammar = match &self.format {
            None => return Ok(None),
            Some(Value::String(name)) if name.is_empty() => return Ok(None),
            Some(Value::String(name)) if name == "json" => Grammar::JsonObject,
            Some(schema @ Value::Object(_)) => Grammar::JsonSchema(schema.clone()),
            Some(_) => return Err(ApiError::field("format", "give \"json\" or a JSON schema")),
        };
        Ok(Some(Asked { field: "format", grammar }))
    }

    /// Returns the request after a prompt of `prompt_tokens` tokens.
    ///
    /// # Errors
    /// Fails with status 400 if a field is out of range or not supported.
    pub(super) fn request(&self, model: &Model, prompt_tokens: usize) -> Result<Request> {
        let Options { num_predict, sampling } = &self.options;
        let logprobs = alternatives(self.logprobs.then_some(self.top_logprobs))?;
        Ok(Request { logprobs, ..sampling.request(model, prompt_tokens, *num_predict)? })
    }
}
