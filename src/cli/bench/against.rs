//! `--against`: this program and another build of it, measured in turns.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tercet_engine::Error;

use super::markdown;
use super::workload::median;
use crate::cli::progress;

/// The output of another run of `tercet bench --json`, as far as a comparison needs it.
#[derive(Deserialize)]
struct Report {
    results: Vec<Rate>,
}

#[derive(Deserialize)]
struct Rate {
    test: String,
    threads: usize,
    median_tps: f64,
}

/// The rates of one test by both programs.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    test: String,
    threads: usize,
    /// The median of the turns, in tokens per second.
    this_tps: f64,
    other_tps: f64,
    /// The median of the turns' ratios of this program to the other.
    ratio: f64,
    least_ratio: f64,
    most_ratio: f64,
}

/// Runs this program and `other` with the options of this process, `turns` times each.
///
/// The programs take turns, and each begins every second turn. So a machine that becomes slower or faster disturbs both
/// alike, and a ratio compares runs that followed each other.
///
/// # Errors
/// Fails if a program cannot be run, fails, or prints no report.
pub(super) fn compare(other: &Path, turns: usize) -> Result<Vec<Comparison>> {
    let this = env::current_exe()?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let options = without_comparison(&arguments);
    let start = options.iter().position(|option| *option == "bench").unwrap_or(0);
    let bar = progress::bar("measuring", 2 * turns);
    let run = |program: &Path, options: &[&OsStr]| {
        let report = run(program, options);
        bar.inc(1);
        report
    };
    let mut rates = BTreeMap::<_, [Vec<f64>; 2]>::new();
    for turn in 0..turns {
        for place in 0..2 {
            let which = (turn + place) % 2;
            let report = if which == 0 { run(&this, &options) } else { run(other, &options[start..]) }?;
            for (i, Rate { test, threads, median_tps }) in report.results.into_iter().enumerate() {
                rates.entry((i, test, threads)).or_default()[which].push(median_tps);
            }
        }
    }
    bar.finish_and_clear();
    let whole = rates.into_iter().filter(|(_, rates)| rates.iter().all(|rates| rates.len() == turns));
    Ok(whole.map(|((_, test, threads), [this, other])| Comparison::new(test, threads, this, other)).collect())
}

/// Formats comparisons as a Markdown table.
pub(super) fn table(comparisons: &[Comparison]) -> String {
    let names = ["test", "threads", "this, tokens/s", "other, tokens/s", "ratio", "least", "most"];
    let row = |c: &Comparison| {
        let ratios = [c.ratio, c.least_ratio, c.most_ratio].map(|ratio| format!("{ratio:.3}"));
        let [ratio, least, most] = ratios;
        let [this, other] = [c.this_tps, c.other_tps].map(|rate| format!("{rate:.2}"));
        [c.test.clone(), c.threads.to_string(), this, other, ratio, least, most]
    };
    markdown::table(names, comparisons.iter().map(row))
}

impl Comparison {
    fn new(test: String, threads: usize, this: Vec<f64>, other: Vec<f64>) -> Self {
        let mut ratios: Vec<f64> = this.iter().zip(&other).map(|(this, other)| this / other).collect();
        let ratio = median(&mut ratios);
        let [mut this, mut other] = [this, other];
        Comparison {
            test,
            threads,
            this_tps: median(&mut this),
            other_tps: median(&mut other),
            ratio,
            least_ratio: ratios[0],
            most_ratio: ratios[ratios.len() - 1],
        }
    }
}

/// Returns the options of a single measurement.
fn without_comparison(arguments: &[OsString]) -> Vec<&OsStr> {
    let mut options = Vec::new();
    let mut arguments = arguments.iter().map(OsString::as_os_str);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        match text.split_once('=') {
            Some(("--against" | "--turns", _)) => {}
            _ if text == "--against" || text == "--turns" => drop(arguments.next()),
            _ => options.push(argument),
        }
    }
    options
}

/// Runs `program` with `options`, and returns its report.
fn run(program: &Path, options: &[&OsStr]) -> Result<Report> {
    let refuse = |problem: String| {
        let problem = format!("{}: {}", program.display(), problem.trim_end());
        Error::bad_argument(
            "against",
            problem,
            "name a program that takes the same options, such as an older tercet",
        )
    };
    let mut command = Command::new(program);
    command.args(options);
    if !options.contains(&OsStr::new("--json")) {
        command.arg("--json");
    }
    let output = command.output().map_err(|error| refuse(error.to_string()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(refuse(format!("{}: {errors}", output.status)).into());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| refuse(format!("no report: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_options_of_the_comparison_are_left_out() {
        let arguments = ["bench", "-p", "8", "--against", "old", "--turns=3", "--json", "-r", "2"];
        let arguments = arguments.map(OsString::from);
        assert_eq!(without_comparison(&arguments), ["bench", "-p", "8", "--json", "-r", "2"]);
    }

    #[test]
    fn ratios_are_of_the_same_turn() {
        let comparison = Comparison::new("tg1".to_owned(), 1, vec![2.0, 30.0, 8.0], vec![1.0, 10.0, 8.0]);
        let Comparison { this_tps, other_tps, ratio, least_ratio, most_ratio, .. } = comparison;
        assert_eq!((this_tps, other_tps, ratio, least_ratio, most_ratio), (8.0, 8.0, 2.0, 1.0, 3.0));
    }
}
