//! Ctrl-C in the midst of a computation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tercet_engine::Cancel;

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
    pub(crate) fn follow(&self) {
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
