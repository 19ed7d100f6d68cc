//! What every answer and every chunk of one repeats.

use serde_json::{Value, json};
use tercet_engine::Stop;

use super::usage::Usage;
use crate::error::{ApiError, Result};
use crate::models::{Model, unix_time};

/// The beginning of an answer.
pub(super) struct Head {
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
}

impl Head {
    /// Returns the beginning of an answer of `model`, with a new id that starts with `prefix`.
    ///
    /// # Errors
    /// Fails if the system gives no random numbers.
    pub(super) fn new(prefix: &str, model: &Model) -> Result<Self> {
        let number = getrandom::u64().map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Head {
            id: format!("{prefix}-{number:016x}"),
            created: unix_time(),
            model: model.name.clone(),
            fingerprint: model.fingerprint(),
        })
    }

    /// Returns an answer with these choices.
    pub(super) fn answer(&self, object: &str, choices: Vec<Value>, usage: Option<Usage>) -> Value {
        let mut answer = json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        });
        if let Some(usage) = usage {
            answer["usage"] = json!(usage);
        }
        answer
    }
}

/// Returns OpenAI's word for the end of a text.
pub(super) fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::Eos | Stop::StopString | Stop::StopId | Stop::Cancelled => "stop",
    }
}
