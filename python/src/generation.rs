//! Generation with callbacks, streams and interrupts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tercet_engine::{
    Cancel, Event, Grammar, JobId, Request, SamplingChoices, Scheduler, SchedulerOptions, Session, Step,
};

use crate::errors::exception;

/// A request. The model's own defaults stand for fields that are None.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Requested {
    max_tokens: usize,
    greedy: bool,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    repetition_window: Option<usize>,
    presence_penalty: f32,
    frequency_penalty: f32,
    logit_bias: HashMap<u32, f32>,
    seed: u64,
    eos: Option<Vec<u32>>,
    stop: Vec<String>,
    stop_id: Vec<u32>,
    json_schema: Option<String>,
    json_object: bool,
    regex: Option<String>,
    grammar: Option<String>,
}

impl Requested {
    /// Returns the grammar that was asked for, if one was. The public half passes one at most.
    fn grammar(&self) -> tercet_engine::Result<Option<Grammar>> {
        let schema = self.json_schema.as_ref().map(|schema| {
            let schema = serde_json::from_str(schema).map_err(|error| {
                tercet_engine::Error::bad_argument("json_schema", error.to_string(), "give a JSON schema")
            });
            schema.map(Grammar::JsonSchema)
        });
        let schema = schema.transpose()?;
        let object = self.json_object.then_some(Grammar::JsonObject);
        let regex = self.regex.clone().map(Grammar::Regex);
        Ok(schema.or(object).or(regex).or_else(|| self.grammar.as_deref().map(Grammar::read)))
    }

    fn request(self, session: &Session, signals: &Signals) -> tercet_engine::Result<Request> {
        let grammar = self.grammar()?.map(|grammar| session.tokenizer().matcher(&grammar)).transpose()?;
        let choices = SamplingChoices {
            greedy: self.greedy,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            repetition_window: self.repetition_window,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            logit_bias: self.logit_bias.into_iter().collect(),
            seed: self.seed,
        };
        let suggested = session.request_with(&choices);
        Ok(Request {
            max_tokens: self.max_tokens,
            eos: self.eos.unwrap_or_else(|| suggested.eos.clone()),
            stop: self.stop,
            stop_id: self.stop_id,
            grammar,
            cancel: signals.cancel(),
            ..suggested
        })
    }
}

/// The result of one generation.
#[pyclass(frozen, get_all, module = "tercet._tercet")]
pub(crate) struct Generation {
    /// The generated tokens, including an end token.
    ids: Vec<u32>,
    /// The generated text, without special tokens and without the stop string.
    text: String,
    /// The stop reason: `eos`, `length`, `stop_string`, `stop_id` or `cancelled`.
    stop: &'static str,
    /// The number of tokens in the prompt.
    prompt_tokens: usize,
    /// Seconds from the start to the logits of the first token.
    prefill_s: f64,
    /// Seconds from there to the end.
    decode_s: f64,
}

impl From<tercet_engine::Generation> for Generation {
    fn from(generation: tercet_engine::Generation) -> Self {
        Generation {
            stop: generation.stop.name(),
            prompt_tokens: generation.prompt_tokens,
            prefill_s: generation.prefill.as_secs_f64(),
            decode_s: generation.decode.as_secs_f64(),
            ids: generation.ids,
            text: generation.text,
        }
    }
}

/// Lets Python's signal handlers run while a computation looks at its [`Cancel`]. After Ctrl-C a handler raises
/// `KeyboardInterrupt`, which cancels the computation.
#[derive(Clone)]
pub(crate) struct Signals(Arc<Mutex<Watch>>);

struct Watch {
    /// Python runs its handlers in the main thread, so that helping threads need not ask.
    thread: ThreadId,
    last: Instant,
    raised: Option<PyErr>,
}

impl Signals {
    /// Short enough for a user who waits, and long enough to cost nothing and disturb no other thread.
    const INTERVAL: Duration = Duration::from_millis(20);

    /// Watches in the current thread.
    pub(crate) fn new() -> Self {
        let watch = Watch { thread: thread::current().id(), last: Instant::now(), raised: None };
        Signals(Arc::new(Mutex::new(watch)))
    }

    /// Watches in the current thread from now on.
    fn follow(&self) {
        self.lock().thread = thread::current().id();
    }

    /// Returns what the computation must look at.
    pub(crate) fn cancel(&self) -> Cancel {
        let watch = self.clone();
        Cancel::when(move || watch.are_raised())
    }

    fn are_raised(&self) -> bool {
        let Ok(mut watch) = self.0.try_lock() else { return false };
        let due = watch.raised.is_none() && watch.last.elapsed() >= Self::INTERVAL;
        if due && watch.thread == thread::current().id() {
            watch.last = Instant::now();
            watch.raised = Python::attach(|py| py.check_signals()).err();
        }
        watch.raised.is_some()
    }

    /// Raises what a handler has raised.
    pub(crate) fn check(&self) -> PyResult<()> {
        self.are_raised();
        self.lock().raised.take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Continues every prompt. The prompts share every read of the weights. `on_token` is called for
/// every token.
pub(crate) fn generate(
    py: Python<'_>,
    session: &Session,
    prompts: Vec<Vec<u32>>,
    request: Requested,
    on_token: Option<Py<PyAny>>,
) -> PyResult<Vec<Generation>> {
    let signals = Signals::new();
    let request = py.detach(|| request.request(session, &signals)).map_err(exception)?;
    py.detach(|| {
        let mut scheduler = Scheduler::new(session, SchedulerOptions::default());
        let submitted: tercet_engine::Result<Vec<JobId>> =
            prompts.into_iter().map(|prompt| scheduler.submit(prompt, request.clone())).collect();
        let jobs = submitted.map_err(exception)?;
        let mut generations: Vec<Option<Generation>> = jobs.iter().map(|_| None).collect();
        let index: HashMap<JobId, usize> = jobs.iter().copied().zip(0..).collect();
        while !scheduler.is_idle() {
            for event in scheduler.round() {
                match event {
                    Event::Step(job, step) => {
                        if !goes_on(on_token.as_ref(), index[&job], &step)? {
                            scheduler.cancel(job);
                        }
                    }
                    Event::Finished(job, generation) => generations[index[&job]] = Some(generation.into()),
                    Event::Failed(_, error) => return Err(exception(error)),
                }
            }
            signals.check()?;
        }
        Ok(generations.into_iter().flatten().collect())
    })
}

/// Calls `on_token` for each token of a step. The last call gets the text of the step. Returns false
/// if `on_token` ends the generation.
fn goes_on(on_token: Option<&Py<PyAny>>, index: usize, step: &Step) -> PyResult<bool> {
    let Some(on_token) = on_token else { return Ok(true) };
    Python::attach(|py| {
        let last = step.ids.len().saturating_sub(1);
        let mut goes_on = true;
        for (at, id) in step.ids.iter().enumerate() {
            let text = if at == last { step.text.as_str() } else { "" };
            let answer = on_token.bind(py).call1((index, id, text))?;
            goes_on &= answer.is_none() || answer.is_truthy()?;
        }
        Ok(goes_on)
    })
}

/// An iterator over the pieces of text that continue a prompt.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Stream {
    stream: Mutex<tercet_engine::Stream<Arc<Session>>>,
    signals: Signals,
}

impl Stream {
    pub(crate) fn new(session: Arc<Session>, prompt: &[u32], request: Requested) -> PyResult<Self> {
        let signals = Signals::new();
        let request = request.request(&session, &signals).map_err(exception)?;
        let stream = tercet_engine::Stream::new(session, prompt, request).map_err(exception)?;
        Ok(Stream { stream: Mutex::new(stream), signals })
    }

    fn lock(&self) -> MutexGuard<'_, tercet_engine::Stream<Arc<Session>>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Stream {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        py.detach(|| {
            let mut stream = self.lock();
            self.signals.follow();
            while let Some(step) = stream.step().map_err(exception)? {
                if !step.text.is_empty() {
                    return Ok(Some(step.text));
                }
            }
            self.signals.check().map(|()| None)
        })
    }

    /// The tokens generated so far.
    #[getter]
    fn ids(&self, py: Python<'_>) -> Vec<u32> {
        py.detach(|| self.lock().ids().to_vec())
    }

    /// The stop reason, or None before the end.
    #[getter]
    fn stop(&self, py: Python<'_>) -> Option<&'static str> {
        py.detach(|| self.lock().stop()).map(tercet_engine::Stop::name)
    }
}
