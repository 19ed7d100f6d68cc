//! `tercet tune`: find the fastest kernels for this machine, and keep them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tercet_autotune::{Problem, Sharing, Store, StoreError, read_all};

use super::options::Options;
use super::progress;
use super::report::{self, Report};
use super::roofline::Roof;
use tercet_engine::Error;
use tercet_engine::Runtime;
use tercet_engine::tune::{Tuned, records, tune};
use tercet_engine::{Kernels, PLANNED_TOKENS, Preset};
use tercet_formats::Config;

const EXAMPLES: &str = "\
For every shape of matrix, with one token (decoding), with two, with a few and with 128 (prefill), the kernels that
this CPU can run race each other; then the winner is shared among threads in several ways. The winners are kept in
the user's cache directory (TERCET_CACHE_DIR) and used from then on. The text that a model writes does not depend on
them.

Examples:
  tercet tune -m DIR                          the shapes of a model
  tercet tune --synthetic bitnet-2b-4t --budget 60
  tercet tune --shape 6912x2560 --shape 2560x6912
  tercet tune --export my-machine.json        what was found so far, for other machines of this kind

JSON: isa, packing, threads, store, stored, roofline, results: [{n, k, m, default, winner, runner_up, used_threads,
task_kib, time_ns, gain, timed, roofline_pct}];
with --export, --import and --forget: store, records.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tune {
    /// Tune for the shapes of a preset instead of a model's files: bitnet-2b-4t
    #[arg(long, value_name = "NAME", conflicts_with = "shape")]
    synthetic: Option<String>,
    /// Tune for matrices of N output and K input features; may be repeated
    #[arg(long, value_name = "NxK", value_parser = shape)]
    shape: Vec<(usize, usize)>,
    /// Seconds to spend
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    budget: f64,
    /// Write every record that there is to FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = WHAT_TO_TUNE)]
    export: Option<PathBuf>,
    /// Add the records of FILE, all of them or none
    #[arg(long, value_name = "FILE", conflicts_with_all = WHAT_TO_TUNE, conflicts_with = "export")]
    import: Option<PathBuf>,
    /// Delete every record
    #[arg(long, conflicts_with_all = WHAT_TO_TUNE, conflicts_with_all = ["export", "import"])]
    forget: bool,
}

const WHAT_TO_TUNE: [&str; 3] = ["synthetic", "shape", "budget"];

/// `6912x2560`.
fn shape(text: &str) -> Result<(usize, usize), String> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&number| number > 0);
    let (n, k) = text.split_once('x').ok_or("expected for example 6912x2560")?;
    number(n).zip(number(k)).ok_or_else(|| "expected for example 6912x2560".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    const MOST: f64 = 86_400.0;
    let seconds = text.parse().ok().filter(|seconds| (0.0..=MOST).contains(seconds));
    seconds.ok_or_else(|| "expected a number of seconds, up to a day".to_owned())
}

impl Tune {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let mut runtime = options.runtime()?;
        if let Some(path) = &self.export {
            let (records, _) = store(&runtime)?.read();
            tercet_formats::write_atomically(path, |file| file.write_all(records.to_json().as_bytes()))?;
            return report_store(options, store(&runtime)?, records.len(), "exported");
        }
        if let Some(path) = &self.import {
            let records = read_all(path).map_err(bad_import)?;
            let count = records.len();
            store(&runtime)?.add(records)?;
            return report_store(options, store(&runtime)?, count, "imported");
        }
        if self.forget {
            let (records, _) = store(&runtime)?.read();
            store(&runtime)?.forget()?;
            return report_store(options, store(&runtime)?, records.len(), "forgotten");
        }
        let roof = Roof::measure(runtime.isa(), runtime.threads())?;
        let found = self.tune(options, &runtime)?;
        let stored = keep(&mut runtime, &found);
        match options.json {
            true => report::print_json(&summary(&runtime, &roof, stored, &found))?,
            false => table(&runtime, &roof, stored, &found).print()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tune(&self, options: &Options, runtime: &Runtime) -> Result<Vec<Tuned>> {
        let shapes = self.shapes(options)?;
        with_bar(runtime, &shapes, Duration::from_secs_f64(self.budget))
    }

    fn shapes(&self, options: &Options) -> Result<Vec<(usize, usize)>> {
        if !self.shape.is_empty() {
            return Ok(self.shape.clone());
        }
        let config = match &self.synthetic {
            Some(name) => Preset::find(name)?.config(),
            None => Config::load(&options.files()?)?,
        };
        Ok(Kernels::shapes(&config).into_iter().collect())
    }
}

fn with_bar(runtime: &Runtime, shapes: &[(usize, usize)], budget: Duration) -> Result<Vec<Tuned>> {
    let bar = progress::bar("tuning", shapes.len() * PLANNED_TOKENS.len());
    let found = tune(runtime, shapes, budget, |_| bar.inc(1));
    bar.finish_and_clear();
    Ok(found?)
}

/// Takes over what was found; whether it could be stored.
fn keep(runtime: &mut Runtime, found: &[Tuned]) -> bool {
    let learned = runtime.learn(records(runtime, found));
    if let Err(error) = &learned {
        report::note(format_args!("warning: the tuning is not kept: {error}"));
    }
    learned.is_ok() && runtime.store().is_some()
}

fn store(runtime: &Runtime) -> Result<&Store> {
    let missing = || Error::bad_argument("TERCET_CACHE_DIR", "there is no cache directory", "set it");
    Ok(runtime.store().ok_or_else(missing)?)
}

fn bad_import(error: StoreError) -> Error {
    match error {
        StoreError::Io { action, path, source } => Error::io(action, &path, source),
        error => Error::bad_argument("--import", error.to_string(), "export the records again"),
    }
}

fn report_store(options: &Options, store: &Store, records: usize, done: &str) -> Result<ExitCode> {
    let Some(path) = Path::to_str(store.path()) else { return Ok(ExitCode::SUCCESS) };
    match options.json {
        true => report::print_json(&json!({ "store": path, "records": records }))?,
        false => report::print(&format!("{} {done}, store {path}\n", report::count(records, "record")))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How much of what the machine can do the winner does.
fn percent(roof: &Roof, tuned: &Tuned) -> f64 {
    let Problem { n, k, m, .. } = tuned.problem;
    let bytes = tuned.default.layout.bytes(n, k);
    roof.percent(1.0 / tuned.time().as_secs_f64(), bytes as f64, (n * k * m) as f64)
}

fn summary(runtime: &Runtime, roof: &Roof, stored: bool, found: &[Tuned]) -> Value {
    let result = |tuned: &Tuned| {
        let Tuned { problem, default, kernel, sharing } = tuned;
        json!({
            "n": problem.n, "k": problem.k, "m": problem.m,
            "default": default.to_string(), "winner": kernel.winner.to_string(),
            "runner_up": kernel.runner_up.map(|spec| spec.to_string()),
            "used_threads": sharing.winner.threads, "task_kib": sharing.winner.task_kib,
            "time_ns": tuned.time().as_nanos() as u64, "gain": tuned.gain(),
            "timed": kernel.timed + sharing.timed,
            "roofline_pct": percent(roof, tuned),
        })
    };
    json!({
        "isa": runtime.isa().name(), "packing": runtime.packing().name(), "threads": runtime.threads(),
        "store": runtime.store().map(Store::path), "stored": stored, "roofline": roof,
        "results": found.iter().map(result).collect::<Vec<_>>(),
    })
}

fn table(runtime: &Runtime, roof: &Roof, stored: bool, found: &[Tuned]) -> Report {
    let mut report = Report::new();
    let threads = report::count(runtime.threads(), "thread");
    report.heading(format_args!(
        "Fastest kernels with {threads} (n × k, tokens: kernel, time, percent of the roofline, gain over the default)"
    ));
    for tuned @ Tuned { problem, default, kernel, sharing } in found {
        let name = format!("{} × {}, {}", problem.n, problem.k, problem.m);
        let by_rule = sharing.winner == Sharing::by_rule(problem.threads);
        let shared = if by_rule { String::new() } else { format!(", {}", sharing.winner) };
        let (micros, roofline) = (tuned.time().as_secs_f64() * 1e6, percent(roof, tuned));
        let gain = match kernel.winner == *default && by_rule {
            true => ", the default".to_owned(),
            false => format!(", +{:.1} %", 100.0 * (tuned.gain() - 1.0)),
        };
        report.row(name, format_args!("{}{shared}, {micros:.1} µs, {roofline:.0} %{gain}", kernel.winner));
        if kernel.winner != *default {
            report.row("", format_args!("{default} is the default"));
        }
    }
    if let Some(store) = runtime.store().filter(|_| stored) {
        report.line(format_args!("\nkept in {}", store.path().display()));
    }
    report
}
