//! How probable a model finds given tokens.

use std::sync::Arc;

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use tercet_engine::prediction::{self, Continued, Prediction, Windows, predict_continuations};
use tercet_engine::{Logits, Session};

use crate::errors::{bad_argument, exception};
use crate::signals::Signals;

/// The probabilities of a continuation's tokens.
#[pyclass(frozen, get_all, module = "tercet._tercet")]
pub(crate) struct Scored {
    /// The tokens.
    ids: Vec<u32>,
    /// ln p of each token, after the prompt and the tokens before it.
    logprobs: Vec<f64>,
    /// The token that the model finds most likely in each place.
    best: Vec<u32>,
}

impl Scored {
    fn new(ids: Vec<u32>, predictions: &[Prediction]) -> Self {
        Scored {
            ids,
            logprobs: predictions.iter().map(|prediction| prediction.log_probability).collect(),
            best: predictions.iter().map(|prediction| prediction.best).collect(),
        }
    }
}

#[pymethods]
impl Scored {
    /// ln p of the whole continuation.
    #[getter]
    fn total(&self) -> f64 {
        self.logprobs.iter().sum()
    }

    /// True if every token is the most likely one: greedy decoding would choose the continuation.
    #[getter]
    fn is_greedy(&self) -> bool {
        self.ids == self.best
    }

    fn __repr__(&self) -> String {
        format!(
            "Scored({} tokens, total={:.4}, is_greedy={})",
            self.ids.len(),
            self.total(),
            self.is_greedy()
        )
    }
}

/// Predicts the tokens of each continuation after its prompt.
pub(crate) fn logprobs(
    py: Python<'_>,
    session: &Session,
    pairs: Vec<(Vec<u32>, Vec<u32>)>,
) -> PyResult<Vec<Scored>> {
    let texts = pairs.into_iter().map(|(prompt, continuation)| Continued { prompt, continuation });
    let texts: Vec<Continued> = texts.collect();
    let predictions = py.detach(|| {
        let signals = Signals::new();
        let predictions = predict_continuations(session.model(), &texts, &signals.cancel(), |_| {});
        signals.check()?;
        predictions.map_err(exception)
    })?;
    let scored = texts.into_iter().zip(predictions);
    Ok(scored.map(|(text, predictions)| Scored::new(text.continuation, &predictions)).collect())
}

/// Returns the logits of the last `last` tokens, or of all: positions × vocabulary.
pub(crate) fn logits<'py>(
    py: Python<'py>,
    session: &Arc<Session>,
    ids: &[u32],
    last: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (model, last) = (session.model(), last.unwrap_or(ids.len()));
    if last > ids.len() {
        let problem = format!("{last} is more than the {} tokens", ids.len());
        return Err(bad_argument("last", problem, "ask for fewer"));
    }
    let logits = py.detach(|| {
        let signals = Signals::new();
        let logits = || -> tercet_engine::Result<Vec<f32>> {
            let mut state = model.new_state(model.context_for(ids.len()))?;
            state.set_cancel(signals.cancel());
            Ok(model.forward(&mut state, ids, Logits::LastTokens(last))?.to_vec())
        };
        let logits = logits();
        signals.check()?;
        logits.map_err(exception)
    })?;
    PyArray1::from_vec(py, logits).reshape([last, model.config().vocab_size])
}

/// Returns the perplexity of `ids`, cut into windows: exp of the mean of -ln p.
pub(crate) fn perplexity(
    py: Python<'_>,
    session: &Session,
    ids: &[u32],
    window: Option<usize>,
) -> PyResult<f64> {
    let (model, tokenizer) = (session.model(), session.tokenizer());
    if ids.is_empty() {
        return Err(bad_argument("the text", "it has no tokens", "give some"));
    }
    let windows = Windows::new(model, tokenizer, window).map_err(exception)?;
    py.detach(|| {
        let signals = Signals::new();
        let predictions = windows.predict(model, ids, &signals.cancel(), |_| {});
        signals.check()?;
        predictions.map(|predictions| prediction::perplexity(&predictions)).map_err(exception)
    })
}
