//! Failures of chat templates. Callers match on the variants; people read the messages.

use std::fmt;

use minijinja::ErrorKind;

use crate::globals::REFUSAL;

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of a chat template. Every message is one line that names the fault and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's files have no template, or cannot be read.
    #[error(transparent)]
    File(#[from] tercet_formats::Error),
    /// An argument of the template is not what a conversation has.
    #[error("{argument}: {problem}; {remedy}")]
    BadArgument {
        /// The argument's name, such as `messages`.
        argument: String,
        /// Its fault.
        problem: String,
        /// The way to mend it.
        remedy: String,
    },
    /// The template is not valid Jinja, is too large, or fails.
    #[error("{place}: {problem}; check the messages, or correct the template")]
    Failed {
        /// The place in the template.
        place: Place,
        /// Its fault.
        problem: String,
    },
    /// The template itself raises an error.
    #[error("{place}: the template refuses these messages: {reason}; correct the messages")]
    Refused {
        /// The place in the template.
        place: Place,
        /// The template's message.
        reason: String,
    },
    /// The template takes more than its share of time or text.
    #[error(
        "{place}: it takes too much time or makes too much text; shorten the conversation, or correct the template"
    )]
    TooMuch {
        /// The place in the template.
        place: Place,
    },
}

/// A place in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The template's file, as the user knows it.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: chat template", self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, " line {line}"))
    }
}

impl Error {
    pub(crate) fn bad_argument(
        argument: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::BadArgument { argument: argument.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// Returns the failure of the template in `file` that minijinja reports as `error`.
    pub(crate) fn of_template(file: &str, error: &minijinja::Error) -> Self {
        let place = Place { file: tercet_formats::one_line(file), line: error.line() };
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        // A message of the template's own may have several lines.
        let detail = tercet_formats::one_line(detail.split_whitespace().collect::<Vec<_>>().join(" "));
        match error.kind() {
            ErrorKind::OutOfFuel => Error::TooMuch { place },
            REFUSAL => Error::Refused { place, reason: detail },
            _ => Error::Failed { place, problem: detail },
        }
    }
}
