//! Memory is asked for before it is taken, because a process that takes too much is ended by the system.

use crate::error::{Error, Result};

/// Bytes that stay free for everything that is too small to be asked for.
const RESERVE: u64 = 32 << 20;
/// Less than this is taken without a question.
const SMALL: u64 = 4 << 20;

/// Requires that the system has `bytes` for `purpose`.
///
/// # Errors
/// [`Error::OutOfMemory`] with `remedy` if it has less.
pub(crate) fn require(bytes: u64, purpose: impl FnOnce() -> String, remedy: &'static str) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    match tercet_cpu::memory::available() {
        Some(free) if bytes.saturating_add(RESERVE) > free => {
            let available = Some(free.saturating_sub(RESERVE));
            Err(Error::out_of_memory(purpose(), bytes, available, remedy))
        }
        _ => Ok(()),
    }
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
}
