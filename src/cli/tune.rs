//! `tercet tune`: finds the fastest kernels of this machine, and keeps them.

mod report;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::args::{self, MachineArgs, ModelArgs, OutputArgs};
use super::report::{note, print_json};
use super::roofline::Roof;
use super::{busy, progress};
use report::Outcome;
use tercet_engine::Runtime;
use tercet_engine::tune::{Tuned, records, tune};
use tercet_engine::{Kernels, PLANNED_TOKENS, Preset};
use tercet_formats::Config;

const EXAMPLES: &str = "\
Examples:
  tercet tune -m DIR                          the shapes of a model
  tercet tune --synthetic bitnet-2b-4t --budget 60
  tercet tune --shape 6912x2560 --shape 2560x6912
  tercet tune --export my-machine.json        all records, for other machines of this kind";

const JSON: &str = "\
JSON: isa, packing, threads, store, stored, roofline, results: [{n, k, m, default, winner, runner_up,
used_threads, task_kib, time_ns, gain, timed, roofline_pct}].
With --export, --import and --forget: store, records.";

/// Find the fastest kernels for this machine, and keep them for later runs
///
/// For every shape of matrix and for 1 (decode), 2, a few and 128 tokens (prefill), the kernels that this
/// CPU can run race each other. Then several ways to share the winner among threads race. The user's
/// cache directory (TERCET_CACHE_DIR) keeps the winners, and every later run uses them. Tuning does not
/// change the text that a model writes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Tune {
    /// Tune for the shapes of a preset instead of a model: bitnet-2b-4t
    #[arg(long, value_name = "NAME", conflicts_with_all = ["shape", "model"])]
    synthetic: Option<String>,
    /// Tune for N output and K input features; may be repeated
    #[arg(long, value_name = "NxK", value_parser = shape, conflicts_with = "model")]
    shape: Vec<(usize, usize)>,
    /// Time to spend, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    budget: f64,
    /// Write every record to FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = TUNING)]
    export: Option<PathBuf>,
    /// Add all records of FILE, or none if one is invalid
    #[arg(long, value_name = "FILE", conflicts_with_all = TUNING, conflicts_with = "export")]
    import: Option<PathBuf>,
    /// Delete every record
    #[arg(long, conflicts_with_all = TUNING, conflicts_with_all = ["export", "import"])]
    forget: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of tuning, which have no effect on existing records.
const TUNING: [&str; 7] = ["synthetic", "shape", "budget", "model", "isa", "threads", "packing"];

/// Parses a shape such as `6912x2560`.
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
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut runtime = args::runtime(&[&self.machine])?;
        if let Some(path) = &self.export {
            store::export(&runtime, path, self.output)?;
        } else if let Some(path) = &self.import {
            store::import(&runtime, path, self.output)?;
        } else if self.forget {
            store::forget(&runtime, self.output)?;
        } else {
            let watch = busy::Watch::start();
            let roof = Roof::measure(runtime.isa(), runtime.threads())?;
            let (shapes, budget) = (self.shapes()?, Duration::from_secs_f64(self.budget));
            let found = with_bar(&runtime, &shapes, budget)?;
            let missing = shapes.len() * PLANNED_TOKENS.len() - found.len();
            if missing > 0 {
                note(format_args!(
                    "warning: {missing} races are left out, because they would have taken too long"
                ));
            }
            watch.remark().iter().for_each(note);
            let stored = keep(&mut runtime, &found);
            let outcome = Outcome { runtime: &runtime, roof: &roof, stored, found: &found };
            match self.output.json {
                true => print_json(&outcome.json())?,
                false => outcome.table().print()?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn shapes(&self) -> Result<Vec<(usize, usize)>> {
        if !self.shape.is_empty() {
            return Ok(self.shape.clone());
        }
        let config = match &self.synthetic {
            Some(name) => Preset::find(name)?.config(),
            None => Config::load(&self.model.files()?)?,
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

/// Uses the winners from now on. Returns true if the store keeps them.
fn keep(runtime: &mut Runtime, found: &[Tuned]) -> bool {
    let learned = runtime.learn(records(runtime, found));
    if let Err(error) = &learned {
        note(format_args!("warning: the tuning records are not kept: {error}"));
    }
    learned.is_ok() && runtime.store().is_some()
}
