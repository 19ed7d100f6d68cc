//! The end of a server: requests under way are finished, and new ones refused.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::error::ApiError;

/// The wish to end, which may come after a number of requests.
#[derive(Debug)]
pub(crate) struct Drain {
    begun: AtomicBool,
    answered: AtomicU64,
    /// Requests after which the server ends.
    most: u64,
    enough: Notify,
}

impl Drain {
    /// Returns the wish to end after `most` requests, if there is a limit.
    pub(crate) fn after(most: Option<u64>) -> Self {
        Drain {
            begun: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            most: most.unwrap_or(u64::MAX),
            enough: Notify::new(),
        }
    }

    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// Fails with status 503 once the server is about to end.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        match self.begun.load(Ordering::Relaxed) {
            true => Err(ApiError::unavailable("this server is shutting down; try again later")),
            false => Ok(()),
        }
    }

    /// Counts a request that has been answered.
    pub(crate) fn count(&self) {
        if self.answered.fetch_add(1, Ordering::Relaxed) + 1 == self.most {
            self.enough.notify_one();
        }
    }

    /// Waits until as many requests are answered as may be.
    pub(crate) async fn enough(&self) {
        self.enough.notified().await;
    }
}
