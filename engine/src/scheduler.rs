//! Runs many sequences of one model at once.
//!
//! A [`Scheduler`] owns the sequences. A round decodes one token of every sequence in one pass over the weights, and
//! reads a part of the prompts. Prompts share the keys and values of common prefixes. Each text is bit for
//! bit that of its request alone, whatever runs beside it.

#[cfg(all(test, feature = "embedded"))]
mod tests;

use std::collections::VecDeque;
use std::ops::Deref;

use crate::error::{Error, Result};
use crate::generate::{Continuation, Generation, Request, Sequence, Step};
use crate::model::BATCH;
use crate::session::Session;

/// Options of a [`Scheduler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Sequences that run at once, each with a KV cache of its own.
    pub parallel: usize,
    /// Requests that may wait; more are refused.
    pub queue: usize,
    /// Most prompt tokens that a round reads: fewer keep rounds short.
    pub prompt_tokens: usize,
    /// Read all prompts before any sequence decodes. A batch finishes sooner, but texts stop while new prompts are read.
    pub prompts_first: bool,
    /// Finished sequences that are kept, because later prompts may begin like them.
    pub kept_prefixes: usize,
}

impl Default for SchedulerOptions {
    /// Options for a batch that is known in advance: prompts first, then everything decodes together.
    fn default() -> Self {
        SchedulerOptions {
            parallel: 32,
            queue: usize::MAX,
            prompt_tokens: BATCH,
            prompts_first: true,
            kept_prefixes: 0,
        }
    }
}

/// The number of a request, unique within its scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// News of one request.
#[derive(Debug)]
pub enum Event {
    /// New tokens, or text that became certain.
    Step(JobId, Step),
    /// The text has ended.
    Finished(JobId, Generation),
    /// The request failed. No other request is harmed.
    Failed(JobId, Error),
}

/// Many sequences of one model. It borrows its session, or shares it in an `Arc`.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::{Event, Request, Scheduler, SchedulerOptions, Session};
///
/// let session = Session::open("fairy-tales")?;
/// let mut scheduler = Scheduler::new(&session, SchedulerOptions::default());
/// for prompt in ["Once upon a time", "The dragon"] {
///     let request = Request { max_tokens: 8, ..session.request() };
///     scheduler.submit(session.encode(prompt)?, request)?;
/// }
/// while !scheduler.is_idle() {
///     for event in scheduler.round() {
///         if let Event::Finished(job, generation) = event {
///             println!("{job:?}: {}", generation.text);
///         }
///     }
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Scheduler<S> {
    session: S,
    options: SchedulerOptions,
    next: u64,
    waiting: VecDeque<Waiting>,
    /// In the order of admission, which is the order in which prompts are read.
    running: Vec<Running>,
    /// Finished sequences, the oldest first.
    kept: VecDeque<Sequence>,
}

#[derive(Debug)]
struct Waiting {
    id: JobId,
    prompt: Vec<u32>,
    request: Request,
}

#[derive(Debug)]
struct Running {
    id: JobId,
    sequence: Sequence,
    continuation: Continuation,
}

impl Running {
    /// Returns true if the next token can be chosen once the model has read one more.
    fn decodes(&self) -> bool {
        self.continuation.stop().is_none() && self.sequence.pending().len() == 1
    }

    fn reads_prompt(&self) -> bool {
        self.continuation.stop().is_none() && self.sequence.pending().len() > 1
    }
}

impl<S: Deref<Target = Session>> Scheduler<S> {
    /// Returns a scheduler without requests.
    pub fn new(session: S, options: SchedulerOptions) -> Self {
        let (waiting, running, kept) = Default::default();
        Scheduler { session, options, next: 0, waiting, running, kept }
    }

    /// Returns the session whose model it runs.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Returns true if no request waits or runs.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Returns the numbers of waiting and of running requests.
    pub fn load(&self) -> (usize, usize) {
        (self.waiting.len(), self.running.len())
    }

    /// Adds a request. Its faults, such as an empty prompt, are told by [`Event::Failed`].
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full.
    pub fn submit(&mut self, prompt: Vec<u32>, request: Request) -> Result<JobId> {
        if self.waiting.len() >= self.options.queue {
            return Err(Error::Busy { waiting: self.waiting.len() });
        }
        let id = JobId(self.next);
        self.next += 1;
        self.waiting.push_back(Waiting { id, prompt, request });
        Ok(id)
    }

    /// Ends a request. A running one finishes in the next round with what it has, a waiting one is forgotten. A request's
    /// [`cancel`](Request::cancel) also ends it within a round, from another thread.
    pub fn cancel(&mut self, id: JobId) {
        self.waiting.retain(|waiting| waiting.id != id);
        if let Some(running) = self.running.iter_mut().find(|running| running.id == id) {
            running.continuation.cancel();
        }
    }

    /// Forgets every request and every kept prefix, without a word to anyone.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.running.clear();
        self.kept.clear();
    }

    /// Heeds cancelled requests, admits waiting ones, decodes one token of every sequence that has read its prompt, and reads a part of the
    /// prompts.
    pub fn round(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.running.iter_mut().for_each(|running| running.continuation.heed_cancel());
        self.collect_finished(&mut events);
        self.admit(&mut events);
        let reading = self.running.iter().any(Running::reads_prompt);
        if !(reading && self.options.prompts_first) {
            self.decode(&mut events);
        }
        self.read_prompts(self.options.prompt_tokens, &mut events);
        self.collect_finished(&mut events);
        events
    }

    fn admit(&mut self, events: &mut Vec<Event>) {
        while self.running.len() < self.options.parallel.max(1) {
            let Some(Waiting { id, prompt, request }) = self.waiting.pop_front() else { break };
            match self.begin(&prompt, request) {
                Ok((sequence, continuation)) => {
                    self.running.push(Running { id, sequence, continuation });
                }
                Err(error) => events.push(Event::Failed(id, error)),
            }
        }
    }

    fn begin(&self, prompt: &[u32], request: Request) -> Result<(Sequence, Continuation)> {
        let (model, tokenizer) = (self.session.model(), self.session.tokenizer());
        let mut sequence = Sequence::for_request(model, prompt, &request)?;
        let continuation = Continuation::new(model, tokenizer, &mut sequence, prompt, request)?;
        Ok((sequence, continuation))
    }

    /// Decodes a token of every sequence that has one token left to read. They share every read of the weights.
    fn decode(&mut self, events: &mut Vec<Event>) {
        let model = self.session.model();
        let mut outcomes = Vec::new();
        let mut decoding: Vec<&mut Running> =
            self.running.iter_mut().filter(|running| running.decodes()).collect();
        decoding.retain(|running| {
            let checked = model.check(&running.sequence.state, running.sequence.pending());
            checked.map_err(|error| outcomes.push((running.id, Err(error)))).is_ok()
        });
        for batch in decoding.chunks_mut(BATCH) {
            let (mut states, mut tokens, mut candidates) = (Vec::new(), Vec::new(), Vec::new());
            for Running { sequence: Sequence { state, history, .. }, continuation, .. } in batch.iter_mut() {
                tokens.push(history[state.position()]);
                candidates.push(continuation.candidates(history));
                states.push(state);
            }
            let shared = model.forward_each(&mut states, &tokens, &candidates).is_ok();
            for Running { id, sequence, continuation } in batch.iter_mut() {
                continuation.heed_cancel();
                if continuation.stop().is_some() {
                    continue;
                }
                // If the shared pass fails, each sequence fails or goes on by itself.
                outcomes.push((
                    *id,
                    match shared {
                        true => continuation.accept(model, sequence),
                        false => continuation.step(model, sequence).map(Option::unwrap_or_default),
                    },
                ));
            }
        }
        for (id, outcome) in outcomes {
            self.report(id, outcome, events);
        }
    }

    /// Reads prompts in the order of admission, at most `budget` tokens altogether but at least one.
    fn read_prompts(&mut self, mut budget: usize, events: &mut Vec<Event>) {
        while let Some(at) = self.running.iter().position(Running::reads_prompt) {
            self.share_prefix(at);
            let Running { id, sequence, continuation } = &mut self.running[at];
            let (id, unread) = (*id, sequence.pending().len());
            let part = BATCH.min(budget.max(1));
            let model = self.session.model();
            // The last part chooses the first token, as a lone request does.
            let outcome = match unread > part {
                true => continuation.read(model, sequence, part).map(|()| Step::default()),
                false => continuation.step(model, sequence).map(Option::unwrap_or_default),
            };
            self.report(id, outcome, events);
            budget = budget.saturating_sub(part.min(unread));
            if budget == 0 {
                break;
            }
        }
    }

    /// Copies the longest prefix that another sequence has read, before a prompt's first part.
    fn share_prefix(&mut self, at: usize) {
        if self.running[at].sequence.state.position() > 0 {
            return;
        }
        let (before, rest) = self.running.split_at_mut(at);
        let Some((reader, after)) = rest.split_first_mut() else { return };
        let others = before.iter().chain(after.iter()).map(|running| &running.sequence);
        others.chain(&self.kept).for_each(|other| reader.sequence.share_prefix(other));
    }

    fn report(&mut self, id: JobId, outcome: Result<Step>, events: &mut Vec<Event>) {
        match outcome {
            Ok(step) if step == Step::default() => {}
            Ok(step) => events.push(Event::Step(id, step)),
            Err(error) => {
                self.running.retain(|running| running.id != id);
                events.push(Event::Failed(id, error));
            }
        }
    }

    fn collect_finished(&mut self, events: &mut Vec<Event>) {
        let is_finished = |running: &mut Running| running.continuation.stop().is_some();
        for Running { id, sequence, continuation } in self.running.extract_if(.., is_finished) {
            events.push(Event::Finished(id, continuation.finish()));
            if self.options.kept_prefixes > 0 {
                self.kept.push_back(sequence);
            }
        }
        while self.kept.len() > self.options.kept_prefixes {
            self.kept.pop_front();
        }
    }
}
