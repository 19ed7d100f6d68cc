//! This machine: its CPU, and tuning of kernels.

use std::path::PathBuf;

use pyo3::prelude::*;
use tercet_cpu::{CacheKind, Limits};
use tercet_engine::Kernels;
use tercet_formats::Config;

use crate::errors::exception;
use crate::kernel::seconds;
use crate::model::Options;

/// The CPU of this machine.
#[pyclass(frozen, get_all, module = "tercet._tercet")]
pub(crate) struct Cpu {
    vendor: String,
    brand: String,
    features: Vec<&'static str>,
    isas: Vec<&'static str>,
    caches: Vec<(u8, &'static str, u64)>,
    logical: usize,
    threads: usize,
}

/// Describes the CPU of this machine. The CPU is probed once.
#[pyfunction]
pub(crate) fn cpu() -> Cpu {
    let host = tercet_cpu::Cpu::host();
    let kind = |kind| match kind {
        CacheKind::Data => "data",
        CacheKind::Instruction => "instruction",
        CacheKind::Unified => "unified",
    };
    Cpu {
        vendor: host.vendor.clone(),
        brand: host.brand.clone(),
        features: host.features.clone(),
        isas: tercet_codegen::Isa::available(host).into_iter().map(|isa| isa.name()).collect(),
        caches: host.caches.iter().map(|cache| (cache.level, kind(cache.kind), cache.size)).collect(),
        logical: host.logical,
        threads: host.default_threads(&Limits::host()),
    }
}

/// The result of tuning for one problem: n × k weights and m tokens.
#[pyclass(frozen, get_all, module = "tercet._tercet")]
pub(crate) struct Tuned {
    n: usize,
    k: usize,
    m: usize,
    default: String,
    winner: String,
    threads: usize,
    task_kib: usize,
    seconds: f64,
    gain: f64,
}

#[pymethods]
impl Cpu {
    fn __repr__(&self) -> String {
        let best = self.isas.first().copied().unwrap_or_default();
        format!("Cpu({:?}, {best}, {} logical, threads={})", self.brand, self.logical, self.threads)
    }
}

#[pymethods]
impl Tuned {
    fn __repr__(&self) -> String {
        let Tuned { n, k, m, winner, threads, .. } = self;
        let (time, gain) = (self.seconds * 1e6, self.gain);
        format!("Tuned({n} × {k}, m={m}: {winner}, threads={threads}, {time:.1} µs, gain={gain:.2})")
    }
}

impl From<&tercet_engine::tune::Tuned> for Tuned {
    fn from(tuned: &tercet_engine::tune::Tuned) -> Self {
        let tercet_engine::tune::Tuned { problem, default, kernel, sharing } = tuned;
        Tuned {
            n: problem.n,
            k: problem.k,
            m: problem.m,
            default: default.to_string(),
            winner: kernel.winner.to_string(),
            threads: sharing.winner.threads,
            task_kib: sharing.winner.task_kib,
            seconds: tuned.time().as_secs_f64(),
            gain: tuned.gain(),
        }
    }
}

/// Finds the fastest kernels for the matrices of `shapes`, or of the model called `name` if there
/// are no shapes. Keeps the winners. The second result is the reason why they could not be stored,
/// if any.
#[pyfunction]
pub(crate) fn tune(
    py: Python<'_>,
    name: Option<PathBuf>,
    shapes: Option<Vec<(usize, usize)>>,
    budget: f64,
    options: Options,
) -> PyResult<(Vec<Tuned>, Option<String>)> {
    let (mut runtime, budget) = (options.runtime()?, seconds("budget", budget)?);
    let shapes = match shapes {
        Some(shapes) => shapes,
        None => {
            let config = || -> tercet_engine::Result<Config> {
                Ok(Config::load(&tercet_engine::open_model(name.as_deref(), &mut |_| {})?)?)
            };
            let config = py.detach(config).map_err(exception)?;
            Kernels::shapes(&config).into_iter().collect()
        }
    };
    let mut found = Vec::new();
    for shape in &shapes {
        let share = budget / shapes.len() as u32;
        let of_shape =
            py.detach(|| tercet_engine::tune::tune(&runtime, &[*shape], share, |_| {})).map_err(exception)?;
        found.extend(of_shape);
        py.check_signals()?;
    }
    let learned = runtime.learn(tercet_engine::tune::records(&runtime, &found));
    Ok((found.iter().map(Tuned::from).collect(), learned.err().map(|error| error.to_string())))
}

/// Returns every option of the library: name, values (none for numbers) and help.
#[pyfunction]
pub(crate) fn options() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    let row = |option: &tercet_engine::options::OptionInfo| (option.name, (option.values)(), option.help);
    tercet_engine::options::OPTIONS.iter().map(row).collect()
}
