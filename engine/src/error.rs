//! Failures of the engine. Callers match on the variants; people read the messages.

use std::io;
use std::path::Path;

use tercet_codegen::packing::PackError;
use tercet_formats::one_line;

use crate::size::Size;

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the engine. Every message is one line that names the fault and the remedy.
///
/// ```
/// # use tercet_engine::Error;
/// fn advice(error: &Error) -> &str {
///     match error {
///         Error::ContextExceeded { .. } => "drop the oldest turns",
///         Error::File(tercet_formats::Error::Missing { .. }) => "look for the file",
///         error if error.is_bad_input() => "correct the input",
///         _ => "try again",
///     }
/// }
/// # assert_eq!(advice(&Error::bad_argument("top_p", "7 is out of range", "use 0 to 1")), "correct the input");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model file is missing, damaged or unsupported, or the system refuses to read or write it.
    #[error(transparent)]
    File(tercet_formats::Error),
    /// The chat template is at fault, or refuses the messages.
    #[error(transparent)]
    Template(tercet_chat::Error),
    /// A model cannot be found or downloaded.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(tercet_hub::Error),
    /// An argument is out of range. The message names the field, as in `temperature`.
    #[error("{argument}: {problem}; {remedy}")]
    BadArgument {
        /// The argument's name.
        argument: String,
        /// Its fault.
        problem: String,
        /// The way to mend it.
        remedy: String,
    },
    /// The context cannot hold the prompt and its continuation.
    #[error(
        "the prompt and its continuation take {tokens} tokens but the context holds {context}; \
         shorten the prompt or generate fewer tokens"
    )]
    ContextExceeded {
        /// Tokens that the sequence would hold.
        tokens: usize,
        /// Tokens that the context holds.
        context: usize,
    },
    /// The keys and values of one request exceed those that all requests of a scheduler may take together.
    #[error(
        "the keys and values of {tokens} tokens take {}, and those of all requests may take {}; \
         shorten the prompt, generate fewer tokens or allow more",
        Size(*bytes), Size(*most)
    )]
    CacheExceeded {
        /// Tokens that the sequence would hold.
        tokens: usize,
        /// Bytes of their keys and values.
        bytes: u64,
        /// Bytes that all requests may take.
        most: u64,
    },
    /// A draft model has other tokens than the model that it would make drafts for.
    #[error(
        "the draft model {draft} has other tokens than {model}: token {token} is {}, and not {}; \
         use a smaller model with the same tokenizer, or no draft model",
        spelling(found),
        spelling(expected)
    )]
    OtherTokens {
        /// The model.
        model: String,
        /// The draft model.
        draft: String,
        /// The first token that differs.
        token: u32,
        /// Its spelling in the vocabulary of the model, if there is one.
        expected: Option<String>,
        /// Its spelling in that of the draft model.
        found: Option<String>,
    },
    /// The system cannot give the memory that was asked for.
    #[error("{purpose} takes {}, and {}; {remedy}", Size(*bytes), left(*available))]
    OutOfMemory {
        /// The use of the memory.
        purpose: String,
        /// Bytes asked for.
        bytes: u64,
        /// Bytes that can be had, if the system tells.
        available: Option<u64>,
        /// The way to mend it.
        remedy: &'static str,
    },
    /// The scheduler's queue is full.
    #[error("{waiting} requests are waiting already; try again later")]
    Busy {
        /// Requests that wait.
        waiting: usize,
    },
    /// The caller cancelled the operation.
    #[error("cancelled")]
    Cancelled,
    /// A kernel cannot be emitted or published.
    #[error(transparent)]
    Kernel(#[from] tercet_codegen::KernelError),
    /// A matrix cannot be packed.
    #[error(transparent)]
    Pack(PackError),
}

impl Error {
    /// Returns true if the user's input (files, arguments) is at fault rather than the system.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::File(error) => error.is_bad_input(),
            #[cfg(feature = "hub")]
            Error::Hub(error) => error.is_bad_input(),
            Error::Template(_)
            | Error::BadArgument { .. }
            | Error::ContextExceeded { .. }
            | Error::CacheExceeded { .. }
            | Error::OtherTokens { .. }
            | Error::Pack(_) => true,
            Error::OutOfMemory { .. } | Error::Busy { .. } | Error::Cancelled | Error::Kernel(_) => false,
        }
    }

    pub(crate) fn out_of_memory(
        purpose: impl Into<String>,
        bytes: u64,
        available: Option<u64>,
        remedy: &'static str,
    ) -> Self {
        Error::OutOfMemory { purpose: one_line(purpose), bytes, available, remedy }
    }

    /// Returns an [`Error::BadArgument`] on one line.
    pub fn bad_argument(
        argument: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        tercet_formats::Error::bad_argument(argument, problem, remedy).into()
    }

    /// Returns the error of a file that contradicts its format.
    pub fn malformed(
        file: impl Into<String>,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        tercet_formats::Error::malformed(file, field, problem, remedy).into()
    }

    /// Returns the error of a file that does not exist.
    pub fn missing(file: impl Into<String>, remedy: impl Into<String>) -> Self {
        tercet_formats::Error::missing(file, remedy).into()
    }

    /// Returns the error of a file operation, such as `read`, that the system refused.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        tercet_formats::Error::io(action, path, source).into()
    }
}

fn spelling(token: &Option<String>) -> String {
    token.as_ref().map_or("missing".to_owned(), |token| format!("{token:?}"))
}

fn left(available: Option<u64>) -> String {
    available.map_or("the system refuses it".to_owned(), |bytes| format!("{} can be had", Size(bytes)))
}

impl From<tercet_formats::Error> for Error {
    fn from(error: tercet_formats::Error) -> Self {
        match error {
            tercet_formats::Error::BadArgument { argument, problem, remedy } => {
                Error::BadArgument { argument, problem, remedy }
            }
            error => Error::File(error),
        }
    }
}

impl From<tercet_chat::Error> for Error {
    fn from(error: tercet_chat::Error) -> Self {
        match error {
            tercet_chat::Error::File(error) => error.into(),
            tercet_chat::Error::BadArgument { argument, problem, remedy } => {
                Error::BadArgument { argument, problem, remedy }
            }
            error => Error::Template(error),
        }
    }
}

impl From<PackError> for Error {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Memory { bytes } => {
                Error::out_of_memory("a matrix", bytes as u64, None, "use a smaller model")
            }
            error => Error::Pack(error),
        }
    }
}

#[cfg(feature = "hub")]
impl From<tercet_hub::Error> for Error {
    fn from(error: tercet_hub::Error) -> Self {
        match error {
            tercet_hub::Error::File(error) => error.into(),
            error => Error::Hub(error),
        }
    }
}
