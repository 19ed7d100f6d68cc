//! Many texts of one model at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use tercet_engine::{Event, JobId, SchedulerOptions, Session};

use crate::errors::exception;
use crate::generation::{Generation, Request};
use crate::signals::Signals;

/// News of one text: its number, new tokens, new text, and at the end its [`Generation`] or an exception.
type News = (usize, Vec<u32>, String, Option<Py<PyAny>>);

/// Texts that grow together. They share every read of the weights.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Scheduler {
    /// Locked without Python's lock only, because a round may call Python.
    scheduler: Mutex<tercet_engine::Scheduler<Arc<Session>>>,
    jobs: Mutex<Jobs>,
    signals: Signals,
}

/// The numbers and requests of the texts.
#[derive(Default)]
struct Jobs {
    next: usize,
    of: HashMap<JobId, (usize, Py<Request>)>,
}

impl Scheduler {
    /// A round of an interactive scheduler: texts go on while a prompt is read.
    const ROUND: Duration = Duration::from_millis(100);

    pub(crate) fn new(session: Arc<Session>, interactive: bool) -> Self {
        let options = SchedulerOptions {
            round_time: interactive.then_some(Self::ROUND),
            keep_prefixes: interactive,
            ..SchedulerOptions::default()
        };
        Scheduler {
            scheduler: Mutex::new(tercet_engine::Scheduler::new(session, options)),
            jobs: Mutex::default(),
            signals: Signals::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, tercet_engine::Scheduler<Arc<Session>>> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the news that `event` brings.
    fn news(&self, py: Python<'_>, event: Event) -> PyResult<Option<News>> {
        let ended = |id| self.jobs().of.remove(&id);
        let news = match event {
            Event::Step(id, step) => {
                let number = self.jobs().of.get(&id).map(|(number, _)| *number);
                number.map(|number| (number, step.ids, step.text, None))
            }
            Event::Finished(id, generation) => match ended(id) {
                Some((number, request)) => {
                    let ended = match request.get().raised() {
                        Some(error) => error.into_value(py).into_any(),
                        None => Generation::from(generation).into_py_any(py)?,
                    };
                    Some((number, Vec::new(), String::new(), Some(ended)))
                }
                None => None,
            },
            Event::Failed(id, error) => ended(id).map(|(number, request)| {
                let raised = request.get().exception(error).into_value(py).into_any();
                (number, Vec::new(), String::new(), Some(raised))
            }),
        };
        Ok(news)
    }
}

#[pymethods]
impl Scheduler {
    /// Adds a text, and returns its number.
    fn submit(&self, py: Python<'_>, prompt: Vec<u32>, request: Py<Request>, seed: u64) -> PyResult<usize> {
        let seeded = request.get().seeded(seed, self.signals.cancel());
        py.detach(|| {
            let mut scheduler = self.lock();
            let id = scheduler.submit(prompt, seeded).map_err(exception)?;
            let mut jobs = self.jobs();
            let number = jobs.next;
            jobs.next += 1;
            jobs.of.insert(id, (number, request));
            Ok(number)
        })
    }

    /// Ends a text: it finishes in the next round with what it has.
    fn cancel(&self, py: Python<'_>, number: usize) {
        let found = self.jobs().of.iter().find(|(_, (job, _))| *job == number).map(|(id, _)| *id);
        py.detach(|| found.into_iter().for_each(|id| self.lock().cancel(id)));
    }

    /// True if no text waits or grows.
    #[getter]
    fn is_idle(&self, py: Python<'_>) -> bool {
        py.detach(|| self.lock().is_idle())
    }

    /// Generates a token of every text, or reads prompts. Returns the news of it.
    fn round(&self, py: Python<'_>) -> PyResult<Vec<News>> {
        self.signals.follow();
        let events = py.detach(|| self.lock().round());
        self.signals.check()?;
        let news = events.into_iter().map(|event| self.news(py, event));
        Ok(news.collect::<PyResult<Vec<_>>>()?.into_iter().flatten().collect())
    }
}
