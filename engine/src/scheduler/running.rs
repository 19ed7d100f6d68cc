//! A request that runs.

use super::JobId;
use crate::generate::{Continuation, Sequence};

#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: JobId,
    pub(super) sequence: Sequence,
    pub(super) continuation: Continuation,
}

impl Running {
    /// Returns true if the next token can be chosen once the model has read one more.
    pub(super) fn decodes(&self) -> bool {
        self.continuation.stop().is_none() && self.sequence.pending().len() == 1
    }

    pub(super) fn reads_prompt(&self) -> bool {
        self.continuation.stop().is_none() && self.sequence.pending().len() > 1
    }
}
