//! What every answer and every chunk of one repeats.

use serde_json::{Value, json};
use tercet_engine::{Generation, Stop};

use super::usage::Usage;
use crate::error::Result;
use crate::ids::new_id;
use crate::models::{Model, unix_time};
use crate::timings::timings;

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
        Ok(Head {
            id: new_id(prefix)?,
            created: unix_time(),
            model: model.name.clone(),
            fingerprint: model.fingerprint.clone(),
        })
    }

    /// Returns the id of a call in the choice with this index.
    pub(super) fn call_id(&self, choice: usize, call: usize) -> String {
        let number = self.id.rsplit('-').next().unwrap_or_default();
        format!("call_{number}_{choice}_{call}")
    }

    /// Returns an answer with these choices. If it is the end, it tells what the texts took, of which each prompt has `n`.
    pub(super) fn answer(
        &self,
        object: &str,
        choices: Vec<Value>,
        end: Option<(&[Generation], usize)>,
    ) -> Value {
        let mut answer = json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        });
        if let Some((generations, n)) = end {
            answer["usage"] = json!(Usage::of(generations, n));
            if let [generation] = generations {
                answer["timings"] = timings(generation);
            }
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
