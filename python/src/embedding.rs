//! Texts as vectors.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use tercet_engine::Session;

use crate::errors::exception;
use crate::signals::Signals;

/// Returns the embeddings of `texts`, texts × dimensions. The prompt called `prompt_name` stands before each text, or the
/// default one.
pub(crate) fn embed<'py>(
    py: Python<'py>,
    session: &Session,
    texts: &[String],
    prompt_name: Option<&str>,
    dimensions: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let embedder = session.embedder().map_err(exception)?;
    let (rows, width) = (texts.len(), dimensions.unwrap_or(session.model().config().hidden_size));
    let vectors = py.detach(|| {
        let signals = Signals::new();
        let vectors = || -> tercet_engine::Result<Vec<f32>> {
            let prompt = match prompt_name {
                Some(name) => embedder.prompt(name)?,
                None => embedder.default_prompt(),
            };
            let tokens: Vec<Vec<u32>> =
                texts.iter().map(|text| embedder.encode(prompt, text)).collect::<Result<_, _>>()?;
            Ok(embedder.embed(&tokens, dimensions, &signals.cancel(), |_| {})?.concat())
        };
        let vectors = vectors();
        signals.check()?;
        vectors.map_err(exception)
    })?;
    PyArray1::from_vec(py, vectors).reshape([rows, width])
}
