//! The synchronization primitives: from the standard library, or from loom, which explores them.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::thread::{JoinHandle, Thread, current, park};

    /// Turns of spinning before a thread parks: some tens of microseconds.
    pub(crate) const SPINS: usize = 2_000;

    pub(crate) fn spawn(
        index: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(format!("tercet-{}", index + 1)).spawn(body)
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use loom::thread::{JoinHandle, Thread, current, park};

    /// One turn, because more spinning adds no interleaving that parking does not have.
    pub(crate) const SPINS: usize = 1;

    pub(crate) fn spawn(_: usize, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        Ok(loom::thread::spawn(body))
    }
}

pub(crate) use imp::*;
