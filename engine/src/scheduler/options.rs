//! Options of a scheduler.

use std::time::Duration;

use crate::memory;

/// Options of a [`Scheduler`](super::Scheduler). None changes a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Sequences that run at once.
    pub parallel: usize,
    /// Requests that may wait; more are refused.
    pub queue: usize,
    /// Time that a round shall take while texts grow: it limits the part of a prompt that the round reads. Without it, all
    /// prompts are read before any text grows. A batch finishes sooner then, but texts stop while new prompts are read.
    pub round_time: Option<Duration>,
    /// Bytes that keys and values may take. A request waits until the most that it can take fits. None is half of the memory
    /// that is free when the scheduler starts; a request that takes more runs alone then.
    pub kv_bytes: Option<u64>,
    /// Keep finished sequences as long as there is room, because later prompts may begin like them.
    pub keep_prefixes: bool,
}

impl SchedulerOptions {
    /// Returns the bytes that keys and values may take unless told otherwise: half of the free memory.
    pub fn default_kv_bytes() -> u64 {
        memory::free().map_or(u64::MAX, |free| free / 2)
    }
}

impl Default for SchedulerOptions {
    /// Options for a batch that is known in advance: prompts first, then everything decodes together.
    fn default() -> Self {
        SchedulerOptions {
            parallel: 32,
            queue: usize::MAX,
            round_time: None,
            kv_bytes: None,
            keep_prefixes: false,
        }
    }
}
