//! Facts about a scheduler, for reports and metrics.

use std::ops::Deref;

use super::{JobId, Running, Scheduler, admission};
use crate::session::Session;

/// The state of a scheduler between two rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerStatus {
    /// Requests that wait.
    pub waiting: usize,
    /// Requests that run, in the order of admission.
    pub running: Vec<SequenceStatus>,
    /// Finished sequences that are kept for later prompts.
    pub kept: usize,
    /// Bytes of keys and values that all sequences hold, kept ones included. Shared ones count once.
    pub kv_bytes: u64,
    /// Bytes of keys and values that running sequences may still take.
    pub kv_bytes_to_come: u64,
    /// Bytes that keys and values may take.
    pub kv_bytes_limit: u64,
    /// Counts since the scheduler was made.
    pub totals: SchedulerTotals,
}

/// The state of a request that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SequenceStatus {
    /// The request.
    pub job: JobId,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt whose keys and values are there.
    pub read_tokens: usize,
    /// Those of them that came from another sequence.
    pub cached_tokens: usize,
    /// Tokens of the text so far.
    pub generated_tokens: usize,
    /// Bytes of keys and values, also of shared ones.
    pub kv_bytes: u64,
}

/// Counts that only grow. Every request that was submitted is finished, failed, waiting or running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerTotals {
    /// Requests that were accepted.
    pub submitted: u64,
    /// Requests that were refused because the queue was full.
    pub refused: u64,
    /// Requests that have finished, cancelled ones included.
    pub finished: u64,
    /// Requests that were cancelled.
    pub cancelled: u64,
    /// Requests that have failed.
    pub failed: u64,
    /// Tokens of prompts that the model has read, of requests that have ended.
    pub prompt_tokens: u64,
    /// Tokens of prompts whose keys and values came from another sequence.
    pub cached_tokens: u64,
    /// Tokens of texts.
    pub generated_tokens: u64,
}

impl SchedulerTotals {
    /// Adds the tokens of a request that has ended.
    pub(super) fn count(&mut self, ended: &SequenceStatus) {
        self.prompt_tokens += (ended.read_tokens - ended.cached_tokens) as u64;
        self.cached_tokens += ended.cached_tokens as u64;
        self.generated_tokens += ended.generated_tokens as u64;
    }
}

impl Running {
    pub(super) fn status(&self) -> SequenceStatus {
        let Running { id, sequence, continuation } = self;
        let prompt_tokens = sequence.history().len() - continuation.ids().len();
        SequenceStatus {
            job: *id,
            prompt_tokens,
            read_tokens: sequence.read().len().min(prompt_tokens),
            cached_tokens: sequence.cached(),
            generated_tokens: continuation.ids().len(),
            kv_bytes: sequence.cache_bytes() as u64,
        }
    }
}

impl<S: Deref<Target = Session>> Scheduler<S> {
    /// Returns the state of the scheduler and of every request that runs.
    pub fn status(&self) -> SchedulerStatus {
        let sequences = self.running.iter().map(|running| &running.sequence).chain(self.prefixes.iter());
        let (kv_bytes, kv_bytes_to_come) = admission::usage(self.session.model(), sequences);
        SchedulerStatus {
            waiting: self.waiting.len(),
            running: self.running.iter().map(Running::status).collect(),
            kept: self.prefixes.iter().count(),
            kv_bytes,
            kv_bytes_to_come,
            kv_bytes_limit: self.kv_bytes,
            totals: self.totals,
        }
    }
}
