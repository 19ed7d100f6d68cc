//! Failures to read or write model files. Every message names the file, the field and the remedy.

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
        /// The failed action, such as `read`, `map` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A required file does not exist.
    #[error("{file}: no such file; {remedy}")]
    Missing {
        /// The file, as the user knows it.
        file: String,
        /// The way to mend it.
        remedy: String,
    },
    /// A file contradicts its format, or another file of the model.
    #[error("{file}: {field}: {problem}; {remedy}")]
    Malformed {
        /// The file.
        file: String,
        /// The field, tensor or position inside it.
        field: String,
        /// Its fault.
        problem: String,
        /// The way to mend it.
        remedy: String,
    },
    /// A well-formed file needs something that this version does not implement.
    #[error("{file}: {field} is {found}, which is not supported; expected {expected}")]
    Unsupported {
        /// The file.
        file: String,
        /// The field or tensor inside it.
        field: String,
        /// Its value.
        found: String,
        /// The supported values, or another way to the goal.
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
    /// Returns true if the user's input is at fault (files, arguments) rather than the system.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Error::Missing { .. }
            | Error::Malformed { .. }
            | Error::Unsupported { .. }
            | Error::BadArgument { .. } => true,
        }
    }

    /// Returns an [`Error::Io`] for a failure to `action` the file at `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Error::Io { action, path: path.to_owned(), source }
    }

    /// Returns an [`Error::Missing`].
    pub fn missing(file: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Missing { file: one_line(file), remedy: one_line(remedy) }
    }

    /// Returns an [`Error::Malformed`].
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

    /// Returns an [`Error::Unsupported`].
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

    /// Returns an [`Error::BadArgument`].
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

/// Hides name and password in an address, as in `https://user:password@host`.
///
/// ```
/// use tercet_formats::without_password;
///
/// assert_eq!(without_password("https://user:word@host/path"), "https://***@host/path");
/// assert_eq!(without_password("https://host"), "https://host");
/// ```
pub fn without_password(address: &str) -> String {
    let start = address.find("://").map_or(0, |scheme| scheme + 3);
    match address.rfind('@') {
        Some(at) if at >= start => format!("{}***{}", &address[..start], &address[at..]),
        _ => address.to_owned(),
    }
}

/// Makes foreign text fit for a one-line message: escapes control characters and cuts after 300
/// bytes.
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
