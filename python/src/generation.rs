//! Requests and their results.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use tercet_engine::{Cancel, Draft, Error, Grammar, LogitsProcessor, SamplingChoices, Session};

use crate::errors::{bad_argument, exception};

/// The fields of a request. The model's own defaults stand for fields that are None.
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
    eos: Option<Vec<u32>>,
    stop: Vec<String>,
    stop_id: Vec<u32>,
    json_schema: Option<String>,
    json_object: bool,
    regex: Option<String>,
    grammar: Option<String>,
    logits_processor: Option<Py<PyAny>>,
    /// No drafts: the caller looks at each token before the next one.
    one_by_one: bool,
}

impl Requested {
    /// Returns the grammar that was asked for, if one was. The public half passes one at most.
    fn grammar(&self) -> tercet_engine::Result<Option<Grammar>> {
        let schema = self.json_schema.as_ref().map(|schema| {
            let schema = serde_json::from_str(schema)
                .map_err(|error| Error::bad_argument("json_schema", error.to_string(), "give a JSON schema"));
            schema.map(Grammar::JsonSchema)
        });
        let schema = schema.transpose()?;
        let object = self.json_object.then_some(Grammar::JsonObject);
        let regex = self.regex.clone().map(Grammar::Regex);
        Ok(schema.or(object).or(regex).or_else(|| self.grammar.as_deref().map(Grammar::read)))
    }
}

/// A request for texts that differ in their prompts and seeds.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Request {
    request: tercet_engine::Request,
    /// An exception of one of its callables.
    raised: Raised,
}

impl Request {
    pub(crate) fn new(py: Python<'_>, session: &Session, requested: Requested) -> PyResult<Self> {
        let grammar = py.detach(|| -> tercet_engine::Result<_> {
            requested.grammar()?.map(|grammar| session.tokenizer().matcher(&grammar)).transpose()
        });
        let choices = SamplingChoices {
            greedy: requested.greedy,
            temperature: requested.temperature,
            top_k: requested.top_k,
            top_p: requested.top_p,
            min_p: requested.min_p,
            repetition_penalty: requested.repetition_penalty,
            repetition_window: requested.repetition_window,
            presence_penalty: requested.presence_penalty,
            frequency_penalty: requested.frequency_penalty,
            logit_bias: requested.logit_bias.into_iter().collect(),
            seed: 0,
        };
        let suggested = session.request_with(&choices);
        let raised = Raised::default();
        let request = tercet_engine::Request {
            max_tokens: requested.max_tokens,
            eos: requested.eos.unwrap_or_else(|| suggested.eos.clone()),
            stop: requested.stop,
            stop_id: requested.stop_id,
            grammar: grammar.map_err(exception)?,
            draft: if requested.one_by_one { Draft::None } else { suggested.draft },
            processor: requested.logits_processor.map(|callable| raised.processor(callable)),
            ..suggested
        };
        Ok(Request { request, raised })
    }

    /// Returns the request for one text.
    pub(crate) fn seeded(&self, seed: u64, cancel: Cancel) -> tercet_engine::Request {
        let mut request = tercet_engine::Request { cancel, ..self.request.clone() };
        request.sampler.seed = seed;
        request
    }

    /// Returns what ended a text: what a callable raised, or else `error`.
    pub(crate) fn exception(&self, error: Error) -> PyErr {
        self.raised().unwrap_or_else(|| exception(error))
    }

    /// Returns what a callable raised, once.
    pub(crate) fn raised(&self) -> Option<PyErr> {
        self.raised.take()
    }
}

/// An exception of a Python callable, raised in the midst of a computation.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Returns the processor that calls `callable` with the tokens and the logits. It may return other logits.
    fn processor(&self, callable: Py<PyAny>) -> LogitsProcessor {
        let raised = self.clone();
        LogitsProcessor::new(move |history, logits| {
            let outcome = Python::attach(|py| -> PyResult<()> {
                let ids: Vec<i64> = history.iter().map(|&id| id.into()).collect();
                let given = PyArray1::from_slice(py, logits);
                let answer = callable.bind(py).call1((PyArray1::from_vec(py, ids), &given))?;
                let made = match answer.is_none() {
                    true => given.readonly(),
                    false => answer.extract::<numpy::PyReadonlyArray1<'_, f32>>().map_err(|_| {
                        bad_argument(
                            "logits_processor",
                            "it returned no float32 array of one dimension",
                            "return logits",
                        )
                    })?,
                };
                let made = made.as_array();
                if made.len() != logits.len() {
                    let problem = format!("it returned {} logits for {} tokens", made.len(), logits.len());
                    return Err(bad_argument("logits_processor", problem, "return as many"));
                }
                logits.iter_mut().zip(made).for_each(|(logit, made)| *logit = *made);
                Ok(())
            });
            outcome.map_err(|error| {
                raised.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                Error::Cancelled
            })
        })
    }

    fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    /// The number of tokens in the prompt, without those that another request had read.
    prompt_tokens: usize,
    /// The number of tokens of the prompt that another request had read.
    cached_tokens: usize,
    /// Seconds from the start to the logits of the first token.
    prefill_s: f64,
    /// Seconds from there to the end.
    decode_s: f64,
    /// The number of tokens that were drafted.
    drafted: usize,
    /// The number of drafted tokens that were accepted.
    accepted: usize,
}

impl From<tercet_engine::Generation> for Generation {
    fn from(generation: tercet_engine::Generation) -> Self {
        Generation {
            stop: generation.stop.name(),
            prompt_tokens: generation.prompt_tokens,
            cached_tokens: generation.cached_tokens,
            prefill_s: generation.prefill.as_secs_f64(),
            decode_s: generation.decode.as_secs_f64(),
            drafted: generation.drafted,
            accepted: generation.accepted,
            ids: generation.ids,
            text: generation.text,
        }
    }
}

#[pymethods]
impl Generation {
    fn __repr__(&self) -> String {
        format!("Generation({:?}, {} tokens, stop={:?})", self.text, self.ids.len(), self.stop)
    }
}
