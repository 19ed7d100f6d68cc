//! Memory is asked for before it is taken, because a process that takes too much is ended by the system.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Bytes that stay free for everything that is too small to be asked for.
const RESERVE: u64 = 32 << 20;
/// Less than this is taken without a question.
const SMALL: u64 = 4 << 20;

/// Bytes that are promised and not taken yet, in this process.
static PROMISED: AtomicU64 = AtomicU64::new(0);

/// Memory that is taken later, piece by piece. Until then nobody else may count on it.
#[derive(Debug)]
pub(crate) struct Promise {
    left: u64,
}

impl Promise {
    /// Promises `bytes` for `purpose`.
    ///
    /// # Errors
    /// Those of [`require`].
    pub(crate) fn new(bytes: u64, purpose: impl FnOnce() -> String, remedy: &'static str) -> Result<Self> {
        require(bytes, purpose, remedy)?;
        PROMISED.fetch_add(bytes, Ordering::Relaxed);
        Ok(Promise { left: bytes })
    }

    /// Keeps the promise of `left` bytes. The others are taken by now, or not wanted any more.
    pub(crate) fn keep(&mut self, left: u64) {
        PROMISED.fetch_add(left, Ordering::Relaxed);
        PROMISED.fetch_sub(self.left, Ordering::Relaxed);
        self.left = left;
    }

    /// Returns the bytes that are not taken yet.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// Requires that the system has `bytes` for `purpose`, beside those that are promised.
///
/// # Errors
/// [`Error::OutOfMemory`] with `remedy` if it has less.
pub(crate) fn require(bytes: u64, purpose: impl FnOnce() -> String, remedy: &'static str) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    match free() {
        Some(free) if bytes > free => Err(Error::out_of_memory(purpose(), bytes, Some(free), remedy)),
        _ => Ok(()),
    }
}

/// Returns the bytes that can be had beside those that are promised, if the system tells.
pub(crate) fn free() -> Option<u64> {
    let taken = PROMISED.load(Ordering::Relaxed).saturating_add(RESERVE);
    tercet_cpu::memory::available().map(|free| free.saturating_sub(taken))
}

/// Returns the product, or the largest number instead of an overflow.
pub(crate) fn product<const N: usize>(factors: [usize; N]) -> u64 {
    factors.into_iter().fold(1, |product, factor| product.saturating_mul(factor as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_purpose_and_the_remedy() {
        assert!(require(1000, || unreachable!(), "").is_ok());
        if tercet_cpu::memory::available().is_some() {
            let error = require(1 << 60, || "the KV cache".to_owned(), "use a smaller context").unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("the KV cache takes 1152921504.61 GB, and "), "{message}");
            assert!(message.ends_with("can be had; use a smaller context") && !error.is_bad_input());
        }
        assert_eq!(product([usize::MAX, 3, 4]), u64::MAX);
    }

    #[test]
    fn nobody_else_may_count_on_promised_memory() {
        let Some(free) = tercet_cpu::memory::available() else { return };
        // Other programs take and free memory meanwhile, but hardly that much.
        let most = || Promise::new(free / 3 * 2, || "most of it".to_owned(), "use less");
        let mut first = most().unwrap();
        assert!(most().is_err());
        first.keep(1000);
        assert_eq!(first.left(), 1000);
        assert!(most().is_ok());
    }
}
