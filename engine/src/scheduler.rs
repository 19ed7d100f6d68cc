//! Runs many sequences of one model at once.
//!
//! A [`Scheduler`] owns the sequences. A round decodes one token of every sequence in one pass over the weights, and
//! reads a part of one prompt. Prompts share the keys and values of common prefixes. Each text is bit for
//! bit that of its request alone, whatever runs beside it.

mod admission;
mod options;
mod pace;
mod passes;
mod prefixes;
mod running;
mod status;
#[cfg(all(test, feature = "embedded"))]
mod tests;

use std::collections::VecDeque;
use std::ops::Deref;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::generate::{Generation, Request, Step, Stop};
use crate::session::Session;

pub use options::SchedulerOptions;
use pace::Pace;
use prefixes::Prefixes;
use running::Running;
pub use status::{SchedulerStatus, SchedulerTotals, SequenceStatus};

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
    prefixes: Prefixes,
    /// Bytes that keys and values may take.
    kv_bytes: u64,
    /// The next request does not fit until one that runs has ended.
    full: bool,
    pace: Pace,
    totals: SchedulerTotals,
}

#[derive(Debug)]
struct Waiting {
    id: JobId,
    prompt: Vec<u32>,
    request: Request,
    cancelled: bool,
}

impl<S: Deref<Target = Session>> Scheduler<S> {
    /// Returns a scheduler without requests.
    pub fn new(session: S, options: SchedulerOptions) -> Self {
        Scheduler {
            session,
            options,
            next: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            prefixes: Prefixes::default(),
            kv_bytes: options.kv_bytes.unwrap_or_else(SchedulerOptions::default_kv_bytes),
            full: false,
            pace: Pace::new(),
            totals: SchedulerTotals::default(),
        }
    }

    /// Measures time by `clock` instead of the system's clock. It decides the sizes of parts, but changes no text.
    pub fn with_clock(mut self, clock: impl Fn() -> Instant + Send + 'static) -> Self {
        self.pace.set_clock(clock);
        self
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
            self.totals.refused += 1;
            return Err(Error::Busy { waiting: self.waiting.len() });
        }
        let id = JobId(self.next);
        self.next += 1;
        self.waiting.push_back(Waiting { id, prompt, request, cancelled: false });
        self.totals.submitted += 1;
        Ok(id)
    }

    /// Ends a request: it finishes in the next round with what it has. A request's [`cancel`](Request::cancel) also ends it,
    /// from another thread and in the midst of a round.
    pub fn cancel(&mut self, id: JobId) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) {
            waiting.cancelled = true;
        } else if let Some(running) = self.running.iter_mut().find(|running| running.id == id) {
            running.continuation.cancel();
        }
    }

    /// Forgets every request and every kept prefix, without a word to anyone.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.running.clear();
        self.prefixes.clear();
        self.full = false;
    }

    /// Heeds cancelled requests, admits waiting ones, decodes one token of every sequence that has read its prompt, and
    /// reads a part of the earliest prompt that is not read yet.
    pub fn round(&mut self) -> Vec<Event> {
        let (start, mut events) = (self.pace.now(), Vec::new());
        self.heed_cancelled(&mut events);
        self.admit(&mut events);
        let reader = self.running.iter().position(Running::reads_prompt);
        if reader.is_none() || self.options.round_time.is_some() {
            self.decode(&mut events);
        }
        self.read_prompt(start, &mut events);
        self.collect_finished(&mut events);
        events
    }

    /// Runs all requests to their ends, and returns their texts in the order of submission.
    ///
    /// # Errors
    /// Fails with the first request that fails.
    pub fn finish(mut self) -> Result<Vec<Generation>> {
        let mut finished = Vec::new();
        while !self.is_idle() {
            for event in self.round() {
                match event {
                    Event::Step(..) => {}
                    Event::Finished(job, generation) => finished.push((job, generation)),
                    Event::Failed(_, error) => return Err(error),
                }
            }
        }
        finished.sort_by_key(|(job, _)| *job);
        Ok(finished.into_iter().map(|(_, generation)| generation).collect())
    }

    /// Ends cancelled requests, also those that wait.
    fn heed_cancelled(&mut self, events: &mut Vec<Event>) {
        self.waiting.retain(|Waiting { id, request, cancelled, .. }| {
            let goes_on = !*cancelled && !request.cancel.is_cancelled();
            if !goes_on {
                events.push(Event::Finished(*id, Generation::unstarted()));
                self.totals.finished += 1;
                self.totals.cancelled += 1;
                self.full = false;
            }
            goes_on
        });
        self.running.iter_mut().for_each(|running| running.continuation.heed_cancel());
        self.collect_finished(events);
    }

    fn report(&mut self, id: JobId, outcome: Result<Step>, events: &mut Vec<Event>) {
        match outcome {
            Ok(step) if step == Step::default() => {}
            Ok(step) => events.push(Event::Step(id, step)),
            Err(error) => {
                let failed = self.running.extract_if(.., |running| running.id == id);
                failed.for_each(|running| self.totals.count(&running.status()));
                self.fail(id, error, events);
            }
        }
    }

    fn fail(&mut self, id: JobId, error: Error, events: &mut Vec<Event>) {
        self.totals.failed += 1;
        self.full = false;
        events.push(Event::Failed(id, error));
    }

    fn collect_finished(&mut self, events: &mut Vec<Event>) {
        let is_finished = |running: &mut Running| running.continuation.stop().is_some();
        for running in self.running.extract_if(.., is_finished) {
            self.totals.count(&running.status());
            let Running { id, sequence, continuation } = running;
            let generation = continuation.finish();
            self.totals.finished += 1;
            self.totals.cancelled += u64::from(generation.stop == Stop::Cancelled);
            self.full = false;
            events.push(Event::Finished(id, generation));
            if self.options.keep_prefixes {
                self.prefixes.keep(sequence);
            }
        }
    }
}
