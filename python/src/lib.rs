//! The native half of the `tercet` Python package: all computation. The Python half checks
//! arguments and offers convenient forms.

mod embedding;
mod errors;
mod generation;
mod kernel;
mod layer;
mod machine;
mod model;
mod scheduler;
mod scoring;
mod signals;
mod stream;
mod tokenizer;

use std::ffi::OsString;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Runs the `tercet` command and returns its exit status. The first of `arguments` is the program's
/// name.
#[pyfunction]
fn command(py: Python<'_>, arguments: Vec<OsString>) -> Option<u8> {
    let status = py.detach(|| tercet::cli::run(arguments));
    (0..=u8::MAX).find(|&code| ExitCode::from(code) == status)
}

/// Returns the short names of models, that of the one in the package first.
#[pyfunction]
fn model_names() -> Vec<&'static str> {
    let named = tercet_hub::MODELS.iter().map(|model| model.name);
    std::iter::once("fairy-tales").chain(named).collect()
}

#[pymodule]
mod _tercet {
    use pyo3::prelude::*;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use super::{command, model_names};
    #[pymodule_export]
    use crate::errors::Error;
    #[pymodule_export]
    use crate::generation::{Generation, Request};
    #[pymodule_export]
    use crate::kernel::Kernel;
    #[pymodule_export]
    use crate::layer::TernaryLinear;
    #[pymodule_export]
    use crate::machine::{Cpu, Tuned, cpu, options, tune};
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::scheduler::Scheduler;
    #[pymodule_export]
    use crate::scoring::Scored;
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::tokenizer::Tokenizer;

    /// The extension has a panic hook of its own, so hiding panics changes no other library's.
    ///
    /// The first array loads numpy's functions, which runs Python code. Ctrl-C within it would be a
    /// panic, so it happens here and not in a caller's computation.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        tercet_engine::hide_caught_panics();
        module.py().import("numpy")?;
        numpy::PyArray1::<f32>::zeros(module.py(), 0, false);
        Ok(())
    }
}
