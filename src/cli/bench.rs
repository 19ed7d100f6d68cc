//! `tercet bench`: how fast a model runs, and how fast it could run at most.

mod busy;
mod kernels;
mod markdown;
mod plot;
mod summary;
mod workload;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::{RangedU64ValueParser, TypedValueParser};
use clap::{Args, Subcommand};
use tercet_cpu::Cpu;

use super::options::Options;
use super::roofline::Roof;
use super::{progress, report};
use summary::{Outcome, Summary};
use tercet_engine::Error;
use tercet_engine::{Model, Preset};
use tercet_engine::{Runtime, RuntimeOptions};
use workload::{Test, Workload};

const EXAMPLES: &str = "\
A test ppN runs a prompt of N tokens, tgN generates N tokens one by one. Each runs once to warm up
and then in turn with the others, --repeat times; the table shows the median.

The roofline is the least time that this machine needs: for the bytes that a token must read, at
the streaming bandwidth, or for its ternary multiply-adds, at the peak rate of dot products. Both
roofs are measured in the same run, with the same number of threads. A prompt's bytes are those of
reading all weights once. A model that caches hold may pass its roofline. The time to the first
token is that of the first prompt, not warmed up.

--plot draws the results under the roofs of every number of threads and, where there is more than
one, the speed of each test over the number of threads.

Examples:
  tercet bench
  tercet bench --synthetic bitnet-2b-4t --threads 1,2
  tercet bench -p 0 -n 64 --depth 256
  tercet bench kernels --help               single kernels instead of a model
  tercet bench --synthetic bitnet-2b-4t --threads 1,2 --plot roofline.svg
  tercet bench --json | jq '.results[] | {test, median_tps}'

JSON: cpu, busy, roofline: [{threads, read_gb_s, vnni_gmac_s}], results: [{test, threads, isa,
packing, head, median_tps, min_tps, max_tps, bytes_per_token, roofline_pct}], load_s,
first_token_s, peak_rss_bytes; load_s and first_token_s are of the last number of threads.
CSV: the fields of the results.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Bench {
    #[command(subcommand)]
    part: Option<Part>,
    /// Prompt lengths; 0 for none
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', default_value = "128,512")]
    prompt: Vec<usize>,
    /// Numbers of tokens to generate; 0 for none
    #[arg(short = 'n', long = "gen", value_name = "N,...", value_delimiter = ',', default_value = "128")]
    generate: Vec<usize>,
    /// Numbers of threads, one after another; by default what other commands use
    // The id is that of the option of all commands, which this one replaces.
    #[arg(id = "threads", short, long, value_name = "N,...", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Times that each test runs
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = within(1..=1000))]
    repeat: usize,
    /// Tokens in the context before a test starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    depth: usize,
    /// Random weights in the shape of a known model: bitnet-2b-4t
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    synthetic: Option<String>,
    /// Print the results as comma-separated values
    #[arg(long, conflicts_with = "json", help_heading = "For scripts")]
    csv: bool,
    /// Draw the results into FILE: roofline and thread scaling, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// What is measured instead of a model.
#[derive(Subcommand, Debug)]
enum Part {
    /// Every kernel that this CPU runs, side by side
    Kernels(kernels::Kernels),
}

/// Reads a number in `range`.
fn within(range: RangeInclusive<u64>) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::new().range(range)
}

impl Bench {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        if let Some(Part::Kernels(kernels)) = &self.part {
            return kernels.run(options);
        }
        let tests = self.tests()?;
        self.plot.as_deref().map_or(Ok(()), plot::check)?;
        let default = options.runtime()?.threads();
        let busy = busy::cores_in_use();
        busy::warn(busy);
        let cpu = Cpu::host().brand.clone();
        let mut summary = Summary { cpu, busy: busy.map(busy::is_busy), ..Summary::default() };
        let counts = if self.threads.is_empty() { &[default] } else { &self.threads[..] };
        for &threads in counts {
            self.run_threads(options, threads, &tests, &mut summary)?;
        }
        match (options.json, self.csv) {
            (true, _) => report::print_json(&summary)?,
            (_, true) => report::print(&summary.csv())?,
            _ => report::print(&summary.markdown())?,
        }
        if let Some(path) = &self.plot {
            plot::write(path, &plot::of_model(&summary))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tests(&self) -> Result<Vec<Test>> {
        let prompts = self.prompt.iter().map(|&tokens| Test::Prompt(tokens));
        let tests = prompts.chain(self.generate.iter().map(|&tokens| Test::Generate(tokens)));
        let tests: Vec<Test> = tests.filter(|test| test.tokens() > 0).collect();
        if tests.is_empty() {
            let (what, problem) = ("--prompt and --gen", "there is nothing to run");
            return Err(Error::bad_argument(what, problem, "ask for some tokens").into());
        }
        Ok(tests)
    }

    /// Loads the model for `threads` threads, and measures it beside the roofs.
    fn run_threads(
        &self,
        options: &Options,
        threads: usize,
        tests: &[Test],
        summary: &mut Summary,
    ) -> Result<()> {
        let options_here = RuntimeOptions { threads: Some(threads), ..options.runtime_options()? };
        let runtime = Runtime::new(&options_here);
        let model = self.load(options, &runtime)?;
        let mut workload = Workload::new(&model, tests, self.depth)?;
        summary.model = model.name().to_owned();
        summary.load_s = model.load_time().as_secs_f64();
        summary.first_token_s = workload.first_token()?.as_secs_f64();
        let rates = workload.rates(self.repeat)?;
        // Asked before the first roof is measured, whose buffer may be larger than the model.
        summary.peak_rss_bytes = summary.peak_rss_bytes.or_else(report::peak_rss_bytes);
        let roof = Roof::measure(runtime.isa(), threads)?;
        summary.results.extend(rates.iter().map(|rates| Outcome::new(rates, &model, &runtime, &roof)));
        summary.roofline.push(roof);
        Ok(())
    }

    fn load(&self, options: &Options, runtime: &Runtime) -> Result<Model> {
        let spinner = progress::spinner("loading the model");
        let model = match &self.synthetic {
            Some(name) => Model::synthetic(&Preset::find(name)?, runtime)?,
            None => Model::load(&options.files()?, runtime)?,
        };
        spinner.finish_and_clear();
        Ok(model)
    }
}
