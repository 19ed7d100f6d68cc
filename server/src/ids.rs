//! Random numbers: ids of answers and seeds.

use crate::error::{ApiError, Result};

/// Returns a new id that starts with `prefix`.
///
/// # Errors
/// Fails if the system gives no random numbers.
pub(crate) fn new_id(prefix: &str) -> Result<String> {
    Ok(format!("{prefix}{:016x}", random()?))
}

/// Returns a random number.
///
/// # Errors
/// Fails if the system gives none.
pub(crate) fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| ApiError::internal(error.to_string()))
}
