//! Maps the library's errors to Python exceptions with the same text.

use pyo3::PyErr;
use pyo3::exceptions::{
    PyFileNotFoundError, PyMemoryError, PyOSError, PyPermissionError, PyRuntimeError, PyValueError,
};
use tercet_codegen::SpecError;
use tercet_engine::Error as EngineError;
use tercet_formats::Error as FileError;

pyo3::create_exception!(
    tercet,
    Error,
    PyValueError,
    "A model's file is damaged, contradicts another file, or is not supported."
);

/// Returns the exception that stands for `error`.
pub(crate) fn exception(error: impl Into<EngineError>) -> PyErr {
    use std::io::ErrorKind;
    let error = error.into();
    let text = error.to_string();
    match &error {
        EngineError::OutOfMemory { .. } => PyMemoryError::new_err(text),
        EngineError::Hub(tercet_hub::Error::UnknownModel { .. })
        | EngineError::File(FileError::Missing { .. }) => PyFileNotFoundError::new_err(text),
        EngineError::File(FileError::Io { source, .. }) => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
            _ => PyOSError::new_err(text),
        },
        EngineError::File(FileError::Malformed { .. } | FileError::Unsupported { .. })
        | EngineError::Template(_) => Error::new_err(text),
        error if error.is_bad_input() => PyValueError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// Returns the exception for a kernel spec that is not valid.
pub(crate) fn bad_spec(error: SpecError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Returns the exception for an argument that is out of range.
pub(crate) fn bad_argument(what: &str, problem: impl Into<String>, remedy: &str) -> PyErr {
    exception(EngineError::bad_argument(what, problem, remedy))
}
