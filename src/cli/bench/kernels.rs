//! `tercet bench kernels`: every kernel that this CPU can run, compared.

mod contest;
mod contestant;
mod reference;
mod row;
mod shape;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tercet_codegen::Packing;
use tercet_cpu::Cpu;

use super::{busy, plot, within};
use crate::cli::args::{self, IsaArgs, OutputArgs, PackingArgs};
use crate::cli::roofline::Roof;
use crate::cli::{progress, report};
use contest::Contest;
pub(super) use row::Row;
use row::{best_rival, tables};
use shape::{SHAPES, Shape};
use tercet_engine::{Runtime, RuntimeOptions};

const EXAMPLES: &str = "\
Examples:
  tercet bench kernels
  tercet bench kernels --shape 6912x2560 --tokens 1 --assert 1.05
  tercet bench kernels --plot kernels.svg
  tercet bench kernels --packing 1.6bit --json | jq '.[] | select(.picked)'";

/// Kernels of a problem that the tables show without `--all`.
const TOP: usize = 10;

const JSON: &str = "\
JSON: a list of {spec, n, k, m, threads, median_ns, gb_s, gmac_s, roofline_pct, picked}.";

/// Compare every kernel that this CPU can run
///
/// Every kernel multiplies the same numbers on one thread. The weights come from several copies with a
/// total size of --budget-mb, so that they never come from a cache. The kernels take turns, and the table
/// shows the median.
///
/// A * marks the kernel that the planner picks. The table also contains portable kernels, and
/// hand-written kernels with the prefix reference/. --assert compares each pick with the fastest kernel
/// of the same packing.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Kernels {
    /// Rows x columns of the weights; may be repeated. By default those of BitNet b1.58 2B-4T
    #[arg(long, value_name = "NxK")]
    shape: Vec<Shape>,
    /// Numbers of tokens to multiply
    #[arg(long, value_name = "M,...", value_delimiter = ',', default_value = "1,8,128", value_parser = within(1..=4096))]
    tokens: Vec<usize>,
    /// Measurements of each kernel
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = within(1..=1000))]
    repeat: usize,
    /// Total size of the copies of the weights in each layout, in MB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = within(0..=65_536))]
    budget_mb: usize,
    /// Exit with status 1 if a pick takes more than RATIO times the time of the fastest kernel
    #[arg(long, value_name = "RATIO")]
    assert: Option<f64>,
    /// Show every kernel, not only the ten fastest and the picks
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Draw the kernels under the roofline to FILE, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    isa: IsaArgs,
    /// Compare kernels of this packing only; by default of every packing
    #[arg(long, value_name = "PACKING", value_parser = args::packing(), help_heading = "Machine")]
    packing: Option<Packing>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Kernels {
    pub(super) fn run(&self) -> Result<ExitCode> {
        self.plot.as_deref().map_or(Ok(()), plot::check)?;
        let packing = PackingArgs { packing: self.packing };
        let isa = args::runtime(&[&self.isa, &packing])?.isa();
        let runtimes = runtimes(&args::runtime_options(&[&self.isa, &packing])?);
        busy::warn(busy::cores_in_use());
        let roof = Roof::measure(isa, 1)?;
        let shapes = if self.shape.is_empty() { &SHAPES[..] } else { &self.shape };
        let bar = progress::bar("measuring", shapes.len() * self.tokens.len() * self.repeat);
        let mut rows = Vec::new();
        for &shape in shapes {
            let contest = Contest::new(&runtimes, shape, self.budget_mb * 1_000_000)?;
            for &m in &self.tokens {
                rows.extend(contest.run(m, self.repeat, &roof, &bar)?);
            }
        }
        bar.finish_and_clear();
        match self.output.json {
            true => report::print_json(&rows)?,
            false => report::print(&tables(&rows, if self.all { usize::MAX } else { TOP }))?,
        }
        if let Some(path) = &self.plot {
            plot::write(path, &plot::of_kernels(&rows, &roof, &Cpu::host().brand))?;
        }
        Ok(self.judge(&rows))
    }

    /// Compares every pick with its fastest rival, and fails if the ratio of their times is too large.
    fn judge(&self, rows: &[Row]) -> ExitCode {
        let Some(most) = self.assert else { return ExitCode::SUCCESS };
        let mut status = ExitCode::SUCCESS;
        for pick in rows.iter().filter(|row| row.picked) {
            let best = best_rival(pick, rows);
            let ratio = pick.median_ns / best.median_ns;
            if ratio > most {
                let Row { spec, n, k, m, .. } = pick;
                let (percent, best) = (100.0 * (ratio - 1.0), &best.spec);
                report::note(format_args!("{n} x {k}, m {m}: {spec} is {percent:.1} % slower than {best}"));
                status = ExitCode::FAILURE;
            }
        }
        status
    }
}

/// Returns a runtime for each packing, or only for the packing that `options` name.
fn runtimes(options: &RuntimeOptions) -> Vec<Runtime> {
    let packings = Packing::TERNARY.into_iter().filter(|p| options.packing.is_none_or(|only| *p == only));
    let runtime = |packing| Runtime::new(&RuntimeOptions { packing: Some(packing), ..options.clone() });
    packings.map(runtime).collect()
}
