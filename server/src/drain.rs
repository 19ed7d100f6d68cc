//! The end of a server: requests under way are finished, and new ones refused.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ApiError;

/// The wish to end.
#[derive(Debug, Default)]
pub(crate) struct Drain(AtomicBool);

impl Drain {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// Fails with status 503 once the server is about to end.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(ApiError::unavailable("this server is shutting down; try again later")),
            false => Ok(()),
        }
    }
}
