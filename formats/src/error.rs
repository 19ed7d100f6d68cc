//! Failures of reading and writing model files. Every message names the file, the field and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to read or write model files. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `map`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file that is needed does not exist.
    #[error("{file}: no such file; {remedy}")]
    Missing {
        /// The file, as the user may look for it.
        file: String,
        /// What to do about it.
        remedy: String,
    },
    /// A file contradicts its format, or what another file of the model says about it.
    #[error("{file}: {field}: {problem}; {remedy}")]
    Malformed {
        /// The file.
        file: String,
        /// The field, tensor or position inside it.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// A well-formed file asks for something that this version does not implement.
    #[error("{file}: {field} is {found}, which is not supported; expected {expected}")]
    Unsupported {
        /// The file.
        file: String,
        /// The field or tensor inside it.
        field: String,
        /// Its value.
        found: String,
        /// The values that are supported, or another way to the goal.
        expected: String,
    },
    /// An argument is out of range.
    #[error("{argument}: {problem}; {remedy}")]
    BadArgument {
        /// The argument's name.
        argument: String,
        /// Its fault.
        problem: String,
        /// The way to mend it.
        remedy: String,
    },
}

impl Error {
    /// Whether the fault lies in what the user gave (files, arguments) rather than in the system.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Error::Missing { .. }
            | Error::Malformed { .. }
            | Error::Unsupported { .. }
            | Error::BadArgument { .. } => true,
        }
    }

    /// An [`Error::Io`] while trying to `action` the file at `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Error::Io { action, path: path.to_owned(), source }
    }

    /// An [`Error::Missing`].
    pub fn missing(file: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Missing { file: one_line(file), remedy: one_line(remedy) }
    }

    /// An [`Error::Malformed`].
    pub fn malformed(
        file: impl Into<String>,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::Malformed {
            file: one_line(file),
            field: one_line(field),
            problem: one_line(problem),
            remedy: one_line(remedy),
        }
    }

    /// An [`Error::Unsupported`].
    pub fn unsupported(
        file: impl Into<String>,
        field: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Error::Unsupported {
            file: one_line(file),
            field: one_line(field),
            found: one_line(found),
            expected: one_line(expected),
        }
    }

    /// An [`Error::BadArgument`].
    pub fn bad_argument(
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
}

/// Makes outside text fit for a one-line message: escapes control characters and cuts after 300 bytes.
pub fn one_line(text: impl Into<String>) -> String {
    const LONGEST: usize = 300;
    let text = text.into();
    if text.len() <= LONGEST && !text.contains(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(LONGEST);
    for c in text.chars() {
        if line.len() >= LONGEST {
            line.push('…');
            break;
        }
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_on_one_line_and_carry_no_terminal_escapes() {
        let error = Error::malformed("m", "a\nb\u{1b}[2J", "x".repeat(10_000), "r");
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text}");
        assert!(text.starts_with(r"m: a\nb\u{1b}[2J: xxx"), "{text}");
        assert!(text.len() < 400);
    }

    #[test]
    fn the_fault_is_assigned() {
        let io = |kind| Error::io("read", Path::new("f"), io::Error::from(kind));
        assert!(Error::missing("f", "get it").is_bad_input());
        assert!(io(io::ErrorKind::NotFound).is_bad_input());
        assert!(!io(io::ErrorKind::StorageFull).is_bad_input());
    }
}
