//! The synchronization primitives: from the standard library, or from loom, which explores them.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::thread::{JoinHandle, Thread, current, park};

    use std::hint::spin_loop;

    /// Threads that report their tasks to one counter, and that all help each other.
    pub(crate) const GROUP: usize = 8;

    /// Threads that one thread wakes.
    pub(crate) const WAKES: usize = 2;

    /// Spins until `done` returns true, or for some tens of microseconds. Returns true if `done` did.
    pub(crate) fn spin_until(done: impl Fn() -> bool) -> bool {
        const TURNS: usize = 2_000;
        (0..TURNS).any(|_| {
            spin_loop();
            done()
        })
    }

    pub(crate) fn spawn(
        index: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(format!("tercet-{}", index + 1)).spawn(body)
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use loom::thread::{JoinHandle, Thread, current, park};

    /// Two, so that three threads make two groups.
    pub(crate) const GROUP: usize = 2;

    /// One, so that a worker wakes another one.
    pub(crate) const WAKES: usize = 1;

    /// Looks once, because more spinning adds no interleaving that parking does not have.
    pub(crate) fn spin_until(done: impl Fn() -> bool) -> bool {
        loom::hint::spin_loop();
        done()
    }

    pub(crate) fn spawn(_: usize, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        Ok(loom::thread::spawn(body))
    }
}

pub(crate) use imp::*;
