//! What every answer and every chunk of one repeats.

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::{Generation, Stop};

use super::usage::Usage;
use crate::error::Result;
use crate::ids::new_id;
use crate::models::{Model, unix_time};
use crate::telemetry::Report;

/// The beginning of an answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Head {
    id: String,
    /// Seconds since 1970.
    created: u64,
    model: String,
    /// The same fingerprint, request and seed give the same text.
    system_fingerprint: String,
}

/// An answer with choices of type `C`, or a chunk of one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Answer<C> {
    #[serde(flatten)]
    head: Head,
    object: &'static str,
    choices: Vec<C>,
    /// In a stream, only the last chunk has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(flatten)]
    report: Report,
}

impl<C> Answer<C> {
    /// Returns the end of an answer: what its texts took, of which each prompt has `n`.
    pub(super) fn with_usage(self, generations: &[Generation], n: usize) -> Self {
        let report = match generations {
            [generation] => Report::of(generation),
            _ => Report::default(),
        };
        Answer { usage: Some(Usage::of(generations, n)), report, ..self }
    }

    pub(super) fn with_report(self, report: Report) -> Self {
        Answer { report, ..self }
    }
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
            system_fingerprint: model.fingerprint.clone(),
        })
    }

    /// Returns the id of a call in the choice with this index.
    pub(super) fn call_id(&self, choice: usize, call: usize) -> String {
        let number = self.id.rsplit('-').next().unwrap_or_default();
        format!("call_{number}_{choice}_{call}")
    }

    /// Returns an answer with these choices.
    pub(super) fn answer<C>(&self, object: &'static str, choices: Vec<C>) -> Answer<C> {
        Answer { head: self.clone(), object, choices, usage: None, report: Report::default() }
    }
}

/// Returns OpenAI's word for the end of a text.
pub(super) fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::Eos | Stop::StopString | Stop::StopId | Stop::Cancelled => "stop",
    }
}
