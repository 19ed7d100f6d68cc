//! Generation whose caller may look on, and interrupt.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tercet::{Continuation, Request, SamplingChoices, Sequence, Step, step_all};

use crate::errors::exception;
use crate::model::Loaded;

/// What is asked for; what is none is left to the model's authors.
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
    seed: u64,
    eos: Option<Vec<u32>>,
    stop: Vec<String>,
}

impl Requested {
    fn over(self, loaded: &Loaded) -> Request {
        let Requested { greedy, temperature, top_k, top_p, min_p, repetition_penalty, seed, .. } = self;
        let choices = SamplingChoices { greedy, temperature, top_k, top_p, min_p, repetition_penalty, seed };
        Request {
            max_tokens: self.max_tokens,
            sampler: choices.over(&loaded.defaults),
            eos: self.eos.unwrap_or_else(|| loaded.defaults.eos_token_ids.clone()),
            stop: self.stop,
        }
    }
}

/// What was generated.
#[pyclass(frozen, get_all, module = "tercet._tercet")]
pub(crate) struct Generation {
    /// The tokens, an end token included.
    ids: Vec<u32>,
    /// Their text, without special tokens and without the stop string.
    text: String,
    /// Why it ended: `eos`, `length`, `stop_string` or `cancelled`.
    stop: &'static str,
    /// Tokens of the prompt.
    prompt_tokens: usize,
    /// Seconds until the first token's logits.
    prefill_s: f64,
    /// Seconds from there to the end.
    decode_s: f64,
}

impl From<tercet::Generation> for Generation {
    fn from(generation: tercet::Generation) -> Self {
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

/// Lets Python's signal handlers run now and then, which raise `KeyboardInterrupt` after Ctrl-C.
pub(crate) struct Signals(Instant);

impl Signals {
    /// Often enough for a reader, and rarely enough to cost nothing and disturb no other thread.
    const INTERVAL: Duration = Duration::from_millis(20);

    pub(crate) fn new() -> Self {
        Signals(Instant::now())
    }

    pub(crate) fn check(&mut self) -> PyResult<()> {
        if self.0.elapsed() < Self::INTERVAL {
            return Ok(());
        }
        self.0 = Instant::now();
        Python::attach(|py| py.check_signals())
    }
}

/// A sequence that has room for `prompt` and what is asked for, as far as the model has.
fn begin(loaded: &Loaded, prompt: &[u32], request: Request) -> tercet::Result<(Sequence, Continuation)> {
    let Loaded { model, tokenizer, .. } = loaded;
    let context = model.context_for(prompt.len().saturating_add(request.max_tokens));
    let mut sequence = Sequence::new(model, context)?;
    let continuation = Continuation::new(model, tokenizer, &mut sequence, prompt, request)?;
    Ok((sequence, continuation))
}

/// The most prompts that are continued together: more would not be faster, and each has a cache of its own.
const TOGETHER: usize = 32;

/// Continues every prompt; they share every read of the weights.
pub(crate) fn generate(
    py: Python<'_>,
    loaded: &Loaded,
    prompts: &[Vec<u32>],
    request: Requested,
    on_token: Option<Py<PyAny>>,
) -> PyResult<Vec<Generation>> {
    let request = request.over(loaded);
    let goes_on = |index: usize, step: &Step| -> PyResult<bool> {
        let Some(on_token) = &on_token else { return Ok(true) };
        Python::attach(|py| {
            let answer = on_token.bind(py).call1((index, step.id, &step.text))?;
            Ok(answer.is_none() || answer.is_truthy()?)
        })
    };
    py.detach(|| {
        let mut signals = Signals::new();
        let mut generations: Vec<Option<Generation>> = prompts.iter().map(|_| None).collect();
        let mut waiting = prompts.iter().enumerate();
        // Which prompt each course continues, and the courses.
        let (mut indices, mut courses) = (Vec::new(), Vec::new());
        loop {
            for (index, prompt) in waiting.by_ref().take(TOGETHER - courses.len()) {
                indices.push(index);
                courses.push(begin(loaded, prompt, request.clone()).map_err(exception)?);
            }
            if courses.is_empty() {
                return Ok(generations.into_iter().flatten().collect());
            }
            let steps = step_all(&loaded.model, &mut courses).map_err(exception)?;
            signals.check()?;
            for (at, step) in steps.into_iter().enumerate().rev() {
                let (_, continuation) = &mut courses[at];
                if step.map(|step| goes_on(indices[at], &step)).transpose()? == Some(false) {
                    continuation.cancel();
                }
                if continuation.stop().is_some() {
                    let (_, continuation) = courses.swap_remove(at);
                    generations[indices.swap_remove(at)] = Some(continuation.finish().into());
                }
            }
        }
    })
}

/// Texts that continue a prompt, as they become certain.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Stream {
    loaded: Arc<Loaded>,
    course: Mutex<(Sequence, Continuation)>,
}

impl Stream {
    pub(crate) fn new(loaded: Arc<Loaded>, prompt: &[u32], request: Requested) -> PyResult<Self> {
        let request = request.over(&loaded);
        let course = begin(&loaded, prompt, request).map_err(exception)?;
        Ok(Stream { loaded, course: Mutex::new(course) })
    }
}

#[pymethods]
impl Stream {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        py.detach(|| {
            let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
            let (sequence, continuation) = &mut *course;
            let mut signals = Signals::new();
            while let Some(step) = continuation.step(&self.loaded.model, sequence).map_err(exception)? {
                if !step.text.is_empty() {
                    return Ok(Some(step.text));
                }
                signals.check()?;
            }
            Ok(None)
        })
    }

    /// The tokens generated so far.
    #[getter]
    fn ids(&self, py: Python<'_>) -> Vec<u32> {
        py.detach(|| self.course.lock().unwrap_or_else(PoisonError::into_inner).1.ids().to_vec())
    }

    /// Why the text ended, once it has.
    #[getter]
    fn stop(&self, py: Python<'_>) -> Option<&'static str> {
        let stop = || self.course.lock().unwrap_or_else(PoisonError::into_inner).1.stop();
        py.detach(stop).map(tercet::Stop::name)
    }
}
