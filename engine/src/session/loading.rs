//! The steps of opening a session.

use std::time::Duration;

use tercet_autotune::Records;
use tercet_codegen::Isa;
use tercet_formats::{Config, ModelFiles};

use crate::error::Result;
use crate::model::{Kernels, PLANNED_TOKENS};
use crate::runtime::{Mode, Runtime};
use crate::source::Progress;
use crate::tune::{records, tune, untuned};

/// Time that the tuning at a first load takes.
const BUDGET: Duration = Duration::from_secs(4);

/// A step of opening a session.
#[derive(Clone, Copy, Debug)]
pub enum Loading<'a> {
    /// A file of the model is downloaded.
    Download(Progress<'a>),
    /// Kernels are tuned for the matrices of a model.
    Tuning {
        /// The model's name.
        model: &'a str,
        /// Time that it takes altogether.
        budget: Duration,
        /// Races that are over.
        done: usize,
        /// Races altogether.
        total: usize,
    },
    /// The model's weights are read and packed.
    Model(&'a str),
    /// Something could not be done as asked; the session opens all the same.
    Warning(&'a str),
}

/// Tunes kernels for the matrices of a model that has no records yet, if that can gain anything.
pub(super) fn tune_once(
    runtime: &mut Runtime,
    files: &ModelFiles,
    progress: &mut dyn FnMut(Loading<'_>),
) -> Result<()> {
    /// Weights of a matrix that every core's own cache holds: the choice of kernel does not matter there.
    const SMALL: usize = 1 << 22;
    if runtime.mode() != Mode::Fast {
        return Ok(());
    }
    let shapes = untuned(runtime, Kernels::shapes(&Config::load(files)?));
    // Portable kernels are slow to time and leave little to choose.
    if shapes.iter().all(|(n, k)| n * k < SMALL) || runtime.isa() == Isa::Portable {
        return Ok(());
    }
    // Without a store that keeps the result, every run would be the first.
    if runtime.store().is_none_or(|store| store.add(Records::default()).is_err()) {
        return Ok(());
    }
    let total = shapes.len() * PLANNED_TOKENS.len();
    let (model, budget) = (files.name(), BUDGET);
    let mut tell = |done| progress(Loading::Tuning { model, budget, done, total });
    tell(0);
    let mut done = 0;
    let found = tune(runtime, &shapes, BUDGET, |_| {
        done += 1;
        tell(done);
    })?;
    if let Err(error) = runtime.learn(records(runtime, &found)) {
        progress(Loading::Warning(&format!("the tuning is not kept: {error}")));
    }
    Ok(())
}
