//! Faults of grammars.

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A grammar that cannot be used. The message is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It contradicts its syntax, or uses a feature that is not supported.
    #[error("{0}")]
    Invalid(String),
    /// It exceeds a limit of size, depth or cost.
    #[error("{0}")]
    TooLarge(String),
}

/// Longest message of the library that is passed on, in characters.
const LONGEST: usize = 300;

impl Error {
    /// Returns the error with the library's message, on one line.
    pub(crate) fn invalid(message: impl ToString) -> Self {
        let message = message.to_string();
        // A caught panic is followed by a backtrace.
        let message = message.split("<backtrace>").next().unwrap_or_default();
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Error::Invalid(line.chars().take(LONGEST).collect())
    }
}
