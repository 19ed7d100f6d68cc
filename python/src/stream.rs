//! A text as an iterator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use tercet_engine::Session;

use crate::errors::exception;
use crate::generation::Request;
use crate::signals::Signals;

/// An iterator over the pieces of text that continue a prompt.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Stream {
    stream: Mutex<tercet_engine::Stream<Arc<Session>>>,
    signals: Signals,
    request: Py<Request>,
}

impl Stream {
    pub(crate) fn new(
        session: Arc<Session>,
        prompt: &[u32],
        request: Py<Request>,
        seed: u64,
    ) -> PyResult<Self> {
        let signals = Signals::new();
        let seeded = request.get().seeded(seed, signals.cancel());
        let stream = tercet_engine::Stream::new(session, prompt, seeded).map_err(exception)?;
        Ok(Stream { stream: Mutex::new(stream), signals, request })
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
            while let Some(step) = stream.step().map_err(|error| self.request.get().exception(error))? {
                if !step.text.is_empty() {
                    return Ok(Some(step.text));
                }
            }
            self.signals.check()?;
            self.request.get().raised().map_or(Ok(None), Err)
        })
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (tokens, stop) = (self.ids(py).len(), self.stop(py));
        format!(
            "Stream({tokens} tokens, {})",
            stop.map_or("growing".to_owned(), |stop| format!("stop={stop:?}"))
        )
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
