//! `tercet bench kernels`: every kernel that this CPU runs, side by side.

mod contest;
mod contestant;
mod reference;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tercet_codegen::Packing;
use tercet_codegen::packing::MAX_K;
use tercet_cpu::Cpu;

use super::{busy, markdown, plot, within};
use crate::cli::options::Options;
use crate::cli::roofline::Roof;
use crate::cli::{progress, report};
use contest::Contest;
use tercet_engine::Error;
use tercet_engine::{Runtime, RuntimeOptions};

const EXAMPLES: &str = "\
Each kernel multiplies the same numbers on one thread. The weights are read from copies that take
--budget-mb together, so that caches hold none of them; the kernels take turns, and the table shows
the median. The plan's pick is marked *; portable kernels and the kernels written by hand
(reference/...) stand beside the emitted ones. --assert compares the pick with the fastest kernel
that reads the same packing.

Examples:
  tercet bench kernels
  tercet bench kernels --shape 6912x2560 -m 1 --assert 1.05
  tercet bench kernels --plot kernels.svg
  tercet bench kernels --packing 1.6bit --json | jq '.[] | select(.picked)'

JSON: a list of {spec, n, k, m, threads, median_ns, gb_s, gmac_s, roofline_pct, picked}.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Kernels {
    /// Rows x columns of the weights; again for more. By default those of BitNet b1.58 2B-4T
    #[arg(long, value_name = "NxK")]
    shape: Vec<Shape>,
    /// Tokens that are multiplied
    // The id is that of the option of all commands, which has no use here and whose letter this one takes.
    #[arg(id = "model", short = 'm', long = "tokens", value_name = "M,...", default_value = "1,8,128")]
    tokens: PathBuf,
    /// Times that each kernel is measured
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = within(1..=1000))]
    repeat: usize,
    /// Size of the weights of one layout that pass before any is read again, in MB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = within(0..=65_536))]
    budget_mb: usize,
    /// Exit with status 1 if a picked kernel takes more than this times the time of the fastest
    #[arg(long, value_name = "RATIO")]
    assert: Option<f64>,
    /// Draw the kernels under the roofline into FILE, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Rows and columns of a weight matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    n: usize,
    k: usize,
}

/// More than any layer has, and little enough for its weights to fit the memory.
const MOST_ROWS: usize = 65_536;

/// BitNet b1.58 2B-4T: q and o, k and v, gate and up, down.
const SHAPES: [Shape; 4] = [
    Shape { n: 2560, k: 2560 },
    Shape { n: 640, k: 2560 },
    Shape { n: 6912, k: 2560 },
    Shape { n: 2560, k: 6912 },
];

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('x').and_then(|(n, k)| Some((n.parse().ok()?, k.parse().ok()?)));
        match numbers {
            Some((n @ 1..=MOST_ROWS, k @ 1..=MAX_K)) => Ok(Shape { n, k }),
            _ => Err(format!("expected rows x columns such as 6912x2560, at most {MOST_ROWS}x{MAX_K}")),
        }
    }
}

/// A kernel's result: what `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) spec: String,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) m: usize,
    pub(super) threads: usize,
    pub(super) median_ns: f64,
    pub(super) gb_s: f64,
    pub(super) gmac_s: f64,
    pub(super) roofline_pct: f64,
    pub(super) picked: bool,
    /// Only kernels of the same packing can replace each other.
    #[serde(skip)]
    pub(super) packing: &'static str,
}

impl Row {
    /// Multiply-adds for each byte of weights that is read.
    pub(super) fn intensity(&self) -> f64 {
        self.gmac_s / self.gb_s
    }

    pub(super) fn is_reference(&self) -> bool {
        self.spec.starts_with(reference::PREFIX)
    }

    /// The instruction set, as the kernel's name has it.
    pub(super) fn isa(&self) -> &str {
        let spec = self.spec.strip_prefix(reference::PREFIX).unwrap_or(&self.spec);
        spec.split_once('/').map_or(spec, |(isa, _)| isa)
    }
}

impl Kernels {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let tokens = self.tokens()?;
        self.plot.as_deref().map_or(Ok(()), plot::check)?;
        let isa = options.runtime()?.isa();
        let runtimes = runtimes(&options.runtime_options()?);
        busy::warn(busy::cores_in_use());
        let roof = Roof::measure(isa, 1)?;
        let shapes = if self.shape.is_empty() { &SHAPES[..] } else { &self.shape };
        let bar = progress::bar("measuring", shapes.len() * tokens.len() * self.repeat);
        let mut rows = Vec::new();
        for &shape in shapes {
            let contest = Contest::new(&runtimes, shape, self.budget_mb << 20)?;
            for &m in &tokens {
                rows.extend(contest.run(m, self.repeat, &roof, &bar)?);
            }
        }
        bar.finish_and_clear();
        match options.json {
            true => report::print_json(&rows)?,
            false => report::print(&tables(&rows))?,
        }
        if let Some(path) = &self.plot {
            plot::write(path, &plot::of_kernels(&rows, &roof, &Cpu::host().brand))?;
        }
        Ok(self.judge(&rows))
    }

    fn tokens(&self) -> Result<Vec<usize>> {
        const MOST: usize = 4096;
        let text = self.tokens.to_string_lossy();
        let tokens = text.split(',').map(|m| m.parse().ok().filter(|m| (1..=MOST).contains(m)));
        let tokens: Option<Vec<usize>> = tokens.collect();
        let remedy = "give numbers from 1 to 4096 such as 1,8,128";
        let problem = || format!("{text:?} is no list of numbers in range");
        tokens.ok_or_else(|| Error::bad_argument("-m", problem(), remedy).into())
    }

    fn judge(&self, rows: &[Row]) -> ExitCode {
        let Some(most) = self.assert else { return ExitCode::SUCCESS };
        let mut status = ExitCode::SUCCESS;
        for pick in rows.iter().filter(|row| row.picked) {
            let best = best_rival(pick, rows);
            let ratio = pick.median_ns / best.median_ns;
            if ratio > most {
                let Row { spec, n, k, m, .. } = pick;
                let (percent, best) = (100.0 * (ratio - 1.0), &best.spec);
                report::note(format_args!("{n} x {k}, m {m}: {spec} is {percent:.1} % behind {best}"));
                status = ExitCode::FAILURE;
            }
        }
        status
    }
}

/// One for each packing, or for the one that is asked for.
fn runtimes(options: &RuntimeOptions) -> Vec<Runtime> {
    let packings = Packing::TERNARY.into_iter().filter(|p| options.packing.is_none_or(|only| *p == only));
    let runtime = |packing| Runtime::new(&RuntimeOptions { packing: Some(packing), ..options.clone() });
    packings.map(runtime).collect()
}

/// The fastest kernel that could have been picked instead of `pick`, which may be itself.
fn best_rival<'a>(pick: &'a Row, rows: &'a [Row]) -> &'a Row {
    let rivals = rows
        .iter()
        .filter(|row| (row.n, row.k, row.m, row.packing) == (pick.n, pick.k, pick.m, pick.packing));
    rivals.min_by(|a, b| a.median_ns.total_cmp(&b.median_ns)).unwrap_or(pick)
}

/// A table for every problem, fastest kernel first.
fn tables(rows: &[Row]) -> String {
    let problems = rows.chunk_by(|a, b| (a.n, a.k, a.m) == (b.n, b.k, b.m));
    problems.map(table).collect::<Vec<_>>().join("\n")
}

fn table(rows: &[Row]) -> String {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| a.median_ns.total_cmp(&b.median_ns));
    let Row { n, k, m, .. } = rows[0];
    let title = format!("{n} x {k}, m {m}");
    let cells = sorted.iter().map(|row| {
        let pick = if row.picked { " *" } else { "" };
        [
            format!("{}{pick}", row.spec),
            format!("{:.1}", row.median_ns / 1e3),
            format!("{:.2}", row.gb_s),
            format!("{:.1}", row.gmac_s),
            format!("{:.1} %", row.roofline_pct),
        ]
    });
    markdown::table([&title, "µs", "GB/s", "G mult.-adds/s", "of roofline"], cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(spec: &str, packing: &'static str, median_ns: f64, picked: bool) -> Row {
        let (gb_s, gmac_s, roofline_pct) = (0.0, 0.0, 0.0);
        Row {
            spec: spec.to_owned(),
            n: 16,
            k: 16,
            m: 1,
            threads: 1,
            median_ns,
            gb_s,
            gmac_s,
            roofline_pct,
            picked,
            packing,
        }
    }

    #[test]
    fn a_pick_is_compared_with_its_own_packing() {
        let rows =
            [row("a", "2bit", 100.0, true), row("b", "2bit", 96.0, false), row("c", "1.6bit", 50.0, false)];
        assert_eq!(best_rival(&rows[0], &rows).spec, "b");
        assert_eq!(best_rival(&rows[2], &rows).spec, "c");
    }

    #[test]
    fn shapes_are_rows_by_columns() {
        assert_eq!("6912x2560".parse(), Ok(Shape { n: 6912, k: 2560 }));
        for text in ["", "12", "0x5", "5x0", "x", "1x2x3", "-1x5", "1x40000", "70000x5"] {
            assert!(text.parse::<Shape>().is_err(), "{text:?}");
        }
    }
}
