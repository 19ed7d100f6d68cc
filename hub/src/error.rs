//! Failures to find or download a model.

use std::io;
use std::path::Path;

use tercet_formats::one_line;

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to find or download a model. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No file, name or repository matches the given model.
    #[error("{model}: no such file; {remedy}")]
    UnknownModel {
        /// The model, as the user named it.
        model: String,
        /// The way to mend it.
        remedy: String,
    },
    /// The hub does not offer this repository, revision or file, or its address or setting is
    /// invalid.
    #[error("{argument}: {problem}; {remedy}")]
    BadArgument {
        /// The repository or the environment variable.
        argument: String,
        /// Its fault.
        problem: String,
        /// The way to mend it.
        remedy: String,
    },
    /// The network failed, or delivered wrong data.
    #[error("{file}: {problem}; {remedy}")]
    Download {
        /// The repository, and the file if it is known.
        file: String,
        /// The fault.
        problem: String,
        /// The way to mend it.
        remedy: String,
    },
    /// A file of the model or of the cache cannot be read or written.
    #[error(transparent)]
    File(#[from] tercet_formats::Error),
}

impl Error {
    /// Returns true if the user's input is at fault rather than the system.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::UnknownModel { .. } | Error::BadArgument { .. } => true,
            Error::Download { .. } => false,
            Error::File(error) => error.is_bad_input(),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        tercet_formats::Error::io(action, path, source).into()
    }

    pub(crate) fn unknown_model(model: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::UnknownModel { model: one_line(model), remedy: one_line(remedy) }
    }

    pub(crate) fn malformed(
        file: impl Into<String>,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        tercet_formats::Error::malformed(file, field, problem, remedy).into()
    }

    pub(crate) fn bad_argument(
        argument: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::BadArgument {
            argument: one_line(argument),
            problem: one_line(problem),
            remedy: one_line(remedy),
        }
    }

    pub(crate) fn download(
        file: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::Download { file: one_line(file), problem: one_line(problem), remedy: one_line(remedy) }
    }
}
