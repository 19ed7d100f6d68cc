//! The facts about a request, gathered for its line in the log.
//!
//! The handler of a request runs within its record. So parts that know a fact find the record, and others need not carry it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tercet_engine::Generation;

use crate::models::Model;

tokio::task_local! {
    static CURRENT: Arc<Record>;
}

/// The facts about one request that its parts have told so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    facts: Mutex<Facts>,
    /// Texts may appear in the log.
    with_texts: bool,
}

/// The facts about one request; all its choices together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) model: Option<String>,
    /// Tokens of the prompts.
    pub(crate) prompt_tokens: Option<u64>,
    /// Those of them that were not read again.
    pub(crate) cached_tokens: Option<u64>,
    pub(crate) generated_tokens: Option<u64>,
    /// When the first and the latest token came.
    tokens: Option<(Instant, Instant)>,
    /// Generated tokens that came together with the first one.
    first_tokens: u64,
    /// Why the latest text ended.
    pub(crate) outcome: Option<&'static str>,
    /// Prompts and texts, if they may appear.
    pub(crate) prompt: Option<String>,
    pub(crate) text: Option<String>,
}

impl Record {
    pub(crate) fn new(with_texts: bool) -> Arc<Self> {
        Arc::new(Record { with_texts, ..Record::default() })
    }

    /// Runs `handler` within this record.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, handler: F) -> F::Output {
        CURRENT.scope(self, handler).await
    }

    /// Returns the record of the request whose handler runs here.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    pub(crate) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Notes a prompt for `model`.
    pub(crate) fn submit(&self, model: &Model, prompt: &[u32]) {
        let mut facts = self.lock();
        facts.model = Some(model.name.clone());
        *facts.prompt_tokens.get_or_insert_default() += prompt.len() as u64;
        if self.with_texts {
            let text = model.session.tokenizer().decode(prompt, false).unwrap_or_default();
            facts.prompt.get_or_insert_default().push_str(&text);
        }
    }

    /// Notes new tokens of a text.
    pub(crate) fn step(&self, tokens: usize, now: Instant) {
        let mut facts = self.lock();
        *facts.generated_tokens.get_or_insert_default() += tokens as u64;
        match &mut facts.tokens {
            Some((_, latest)) => *latest = now,
            None => (facts.tokens, facts.first_tokens) = (Some((now, now)), tokens as u64),
        }
    }

    /// Notes a whole text.
    pub(crate) fn finish(&self, generation: &Generation) {
        let mut facts = self.lock();
        *facts.cached_tokens.get_or_insert_default() += generation.cached_tokens as u64;
        if self.with_texts {
            facts.text.get_or_insert_default().push_str(&generation.text);
        }
    }

    pub(crate) fn end(&self, outcome: &'static str) {
        self.lock().outcome = Some(outcome);
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    /// Returns the time from `arrival` to the first token.
    pub(crate) fn first_token(&self, arrival: Instant) -> Option<Duration> {
        self.tokens.map(|(first, _)| first.saturating_duration_since(arrival))
    }

    /// Returns the speed of all texts together, after the first token.
    pub(crate) fn tokens_per_second(&self) -> Option<f64> {
        let (first, latest) = self.tokens?;
        let tokens = self.generated_tokens?.saturating_sub(self.first_tokens);
        let time = (latest - first).as_secs_f64();
        (tokens > 0 && time > 0.0).then(|| tokens as f64 / time)
    }
}
