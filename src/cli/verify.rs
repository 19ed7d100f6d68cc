//! `tercet verify`: a check of every kernel on this machine.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tercet_codegen::verify::{AWKWARD_SIZES, Report as KernelReport, run};
use tercet_codegen::{Isa, KernelCache};
use tercet_cpu::Cpu;
use tercet_pool::Pool;

use super::args::{self, IsaArgs, ModelArgs, OutputArgs, ThreadsArgs};
use super::report::{self, Report};
use super::{progress, threads};
use tercet_engine::verify::{LayerReport, first_layer};

const EXAMPLES: &str = "\
Examples:
  tercet verify
  tercet verify --full --isa avx2        the complete grid for families up to AVX2
  tercet verify --json | jq '.families[] | select(.failures > 0)'";

const JSON: &str = "\
JSON: passed, families: [{isa, packing, cases, failures, first_failure}], model,
layer: [{isa, packing, identical, mean_difference, other_choices, passed}].";

/// The quick grid multiplies sizes from this one on with [`FEW_TOKENS`] only.
const LARGE: usize = 640;
const FEW_TOKENS: [usize; 2] = [1, 7];
const SOME_TOKENS: [usize; 7] = [1, 2, 3, 5, 8, 16, 33];
const MOST_TOKENS: usize = 33;

/// Check every kernel that this CPU can run against plain arithmetic
///
/// First every kernel family that this CPU can run multiplies matrices of awkward sizes. Every sum must
/// equal plain arithmetic bit for bit. Then one layer of the model runs with every family. The logits
/// must be the same bit for bit, and agree with a plain implementation of the layer.
///
/// The exit status is 0 if every check passes, and 1 if one fails.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Verify {
    /// Check a thinned grid, which takes seconds (default)
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Check every size with every number of tokens from 1 to 33, which takes minutes
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    isa: IsaArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    passed: bool,
    families: Vec<FamilySummary>,
    model: &'a str,
    layer: Vec<LayerSummary>,
}

#[derive(Serialize)]
struct FamilySummary {
    isa: &'static str,
    packing: &'static str,
    cases: usize,
    failures: usize,
    first_failure: Option<String>,
}

#[derive(Serialize)]
struct LayerSummary {
    isa: &'static str,
    packing: &'static str,
    identical: bool,
    mean_difference: f64,
    other_choices: usize,
    passed: bool,
}

impl Verify {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let (runtime, files) = (args::runtime(&[&self.isa, &self.threads])?, self.model.files()?);
        let isas: Vec<Isa> =
            Isa::available(Cpu::host()).into_iter().filter(|isa| isa.is_within(runtime.isa())).collect();
        let pool = threads::start(runtime.threads());
        let kernels = self.kernels(&pool, runtime.kernels(), &isas)?;
        let spinner = progress::spinner("one layer of the model");
        let layer = first_layer(&files, &isas)?;
        spinner.finish_and_clear();

        let passed =
            kernels.iter().all(|report| report.failures.is_empty()) && layer.iter().all(LayerReport::passed);
        let summary = Summary {
            passed,
            families: kernels.iter().map(FamilySummary::new).collect(),
            model: files.name(),
            layer: layer.iter().map(LayerSummary::new).collect(),
        };
        match self.output.json {
            true => report::print_json(&summary)?,
            false => summary.report().print()?,
        }
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn kernels(&self, pool: &Pool, cache: &KernelCache, isas: &[Isa]) -> Result<Vec<KernelReport>> {
        let all_tokens: Vec<usize> = (1..=MOST_TOKENS).collect();
        if self.full {
            return grid(pool, cache, isas, &AWKWARD_SIZES, &all_tokens);
        }
        let small: Vec<usize> = AWKWARD_SIZES.into_iter().filter(|&size| size < LARGE).collect();
        let mut reports = grid(pool, cache, isas, &small, &SOME_TOKENS)?;
        let large = grid(pool, cache, isas, &[17, 640, 3200], &FEW_TOKENS)?;
        for (report, large) in reports.iter_mut().zip(large) {
            report.cases += large.cases;
            report.failures.extend(large.failures);
        }
        Ok(reports)
    }
}

fn grid(
    pool: &Pool,
    cache: &KernelCache,
    isas: &[Isa],
    sizes: &[usize],
    tokens: &[usize],
) -> Result<Vec<KernelReport>> {
    let bar = progress::bar("multiplying", sizes.len() * sizes.len());
    let reports = pool.map(sizes.len() * sizes.len(), |i| {
        let reports = run(cache, isas, (sizes[i / sizes.len()], sizes[i % sizes.len()]), tokens);
        bar.inc(1);
        reports
    });
    let reports = KernelReport::sum(reports.into_iter().collect::<Result<Vec<_>, _>>()?);
    bar.finish_and_clear();
    Ok(reports)
}

impl FamilySummary {
    fn new(report: &KernelReport) -> Self {
        FamilySummary {
            isa: report.isa.name(),
            packing: report.packing.name(),
            cases: report.cases,
            failures: report.failures.len(),
            first_failure: report.failures.first().map(ToString::to_string),
        }
    }
}

impl LayerSummary {
    fn new(report: &LayerReport) -> Self {
        LayerSummary {
            isa: report.isa.name(),
            packing: report.packing.name(),
            identical: report.identical,
            mean_difference: report.mean_difference,
            other_choices: report.other_choices,
            passed: report.passed(),
        }
    }
}

impl Summary<'_> {
    fn report(&self) -> Report {
        let mut report = Report::new();
        report.heading("Kernels against plain arithmetic");
        for FamilySummary { isa, packing, cases, failures, first_failure } in &self.families {
            report.row(format_args!("{isa} {packing}"), format_args!("{cases} products, {failures} wrong"));
            if let Some(failure) = first_failure {
                report.line(format_args!("    {failure}"));
            }
        }
        report.heading(format_args!("One layer of {}", self.model));
        for LayerSummary { isa, packing, identical, mean_difference, other_choices, .. } in &self.layer {
            let equal = if *identical { "identical on every ISA" } else { "DIFFERS from portable 2bit" };
            let choices = match other_choices {
                0 => String::new(),
                n => format!(", other choices at {}", report::count(*n, "position")),
            };
            let value = format!("{equal}, {mean_difference:.1e} from the reference on average{choices}");
            report.row(format_args!("{isa} {packing}"), value);
        }
        report.line(if self.passed { "\nall checks passed" } else { "\nFAILED" });
        report
    }
}
