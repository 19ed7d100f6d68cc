//! News of a stream beside its text, in llama-server's words: the part of the prompt that is read, and times.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tercet_engine::{Generation, SequenceStatus, Step};

use crate::body::nullable;
use crate::timings::{Times, Timings};

/// The news that a client asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Telemetry {
    /// Tell how far the prompt is read.
    #[serde(deserialize_with = "nullable")]
    pub(crate) return_progress: bool,
    /// Tell the times so far with every token.
    #[serde(deserialize_with = "nullable")]
    pub(crate) timings_per_token: bool,
}

impl Telemetry {
    /// Returns true if the reading of the prompt matters.
    pub(crate) fn watches(self) -> bool {
        self.return_progress || self.timings_per_token
    }
}

/// The reading of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    total: usize,
    cached: usize,
    processed: usize,
    time: Duration,
}

/// The reading of a prompt in llama-server's words, in tokens.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct PromptProgress {
    total: usize,
    cache: usize,
    processed: usize,
    time_ms: u64,
}

impl From<Progress> for PromptProgress {
    fn from(Progress { total, cached: cache, processed, time }: Progress) -> Self {
        PromptProgress { total, cache, processed, time_ms: time.as_millis() as u64 }
    }
}

/// The fields of a message in a stream beside its text.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_progress: Option<PromptProgress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timings: Option<Timings>,
}

impl Report {
    /// Returns the times of a text that has ended.
    pub(crate) fn of(generation: &Generation) -> Self {
        Report { prompt_progress: None, timings: Some(generation.into()) }
    }
}

/// Follows the reading of one prompt, from round to round.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    begin: Option<Instant>,
    latest: Option<Progress>,
}

impl Reader {
    /// Returns what is new after a round that began at `start`. The first report is the state before the reading.
    pub(crate) fn follow(&mut self, sequence: &SequenceStatus, start: Instant) -> Vec<Progress> {
        let &SequenceStatus { prompt_tokens: total, cached_tokens: cached, read_tokens, .. } = sequence;
        let begin = *self.begin.get_or_insert(start);
        let mut news = Vec::new();
        let mut latest = *self.latest.get_or_insert_with(|| {
            let first = Progress { total, cached, processed: cached, time: Duration::ZERO };
            news.push(first);
            first
        });
        if read_tokens > latest.processed {
            latest = Progress { processed: read_tokens, time: begin.elapsed(), ..latest };
            news.push(latest);
        }
        self.latest = Some(latest);
        news
    }
}

/// The account of a text that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    prompt: Progress,
    tokens: usize,
    first: Option<Instant>,
}

impl Account {
    pub(crate) fn read(&mut self, progress: Progress) {
        self.prompt = progress;
    }

    pub(crate) fn count(&mut self, step: &Step) {
        self.first.get_or_insert_with(Instant::now);
        self.tokens += step.ids.len();
    }

    /// Returns the times so far.
    pub(crate) fn timings(&self) -> Timings {
        let Progress { cached, processed, time, .. } = self.prompt;
        let decode = self.first.map_or(Duration::ZERO, |first| first.elapsed());
        let read = processed - cached;
        Times { cached, read, prefill: time, generated: self.tokens, decode }.into()
    }
}
