//! `tercet bench`: the speed of a model, and its distance to the limit of this machine.

mod against;
mod kernels;
mod markdown;
mod plot;
mod scaling;
mod summary;
mod synthetic;
mod workload;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::{RangedU64ValueParser, TypedValueParser};
use clap::{Args, Subcommand};
use tercet_cpu::Cpu;

use super::args::{
    self, CacheArgs, Described, IsaArgs, ModeArgs, ModelArgs, OutputArgs, PackingArgs, PrecisionArgs,
    RuntimeArgs,
};
use super::energy::Metered;
use super::roofline::Roof;
use super::{busy, progress, report};
use summary::{Outcome, Summary};
use synthetic::{Likeness, SyntheticArgs};
use tercet_engine::{Error, Model, Preset, Runtime, RuntimeOptions, SamplerOptions, SamplingChoices};
use tercet_formats::GenerationDefaults;
use workload::{Test, Workload};

/// Time in which the power at rest is measured.
const REST: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  tercet bench
  tercet bench --synthetic bitnet-2b-4t --threads 1,2
  tercet bench -p 0 -n 64 --depth 256
  tercet bench -p 0 -n 64 --parallel 1,2,4,8 --greedy
  tercet bench --synthetic bitnet-2b-4t --threads 1,2 --plot roofline.svg
  tercet bench --synthetic bitnet-2b-4t --against ./tercet-before --turns 5
  tercet bench --json | jq '.results[] | {test, median_tps}'
  tercet bench kernels --help               single kernels instead of a model";

const JSON: &str = "\
JSON: cpu, busy, sampling, roofline: [{threads, read_gb_s, vnni_gmac_s}], results: [{test, threads, isa,
packing, head, median_tps, min_tps, max_tps, bytes_per_token, roofline_pct, head_rows (a number),
head_rows_pct, gates_not_positive_pct, zeros_into_down_pct}], load_s, first_token_s, peak_rss_bytes.
load_s and first_token_s belong to the last number of threads.
CSV: the fields of the results. With --against, JSON is a list of {test, threads, this_tps, other_tps,
ratio, least_ratio, most_ratio}. With --synthetic: synthetic: {gate_density, head_peak}.
With --energy: energy: {packages, idle_watts, not_available}, and in each result energy: {joules,
joules_per_token, idle_watts}, which is missing where unknown.";

/// Measure speed, and the distance to the limit of this machine
///
/// A test ppN reads a prompt of N tokens, and a test tgN generates N tokens one by one. A test tgNxS does
/// so in S sequences at once, and its rate counts the tokens of all. Every test runs once to warm up. Then the tests run in turns, --repeat times, and the table shows the median.
///
/// The roofline is the least time that this machine needs for a token. It is the time to read the token's
/// bytes at streaming bandwidth or the time for its ternary multiply-adds at the peak rate of dot
/// products, whichever is longer. Both roofs are measured in the same run with the same number of
/// threads. A prompt reads all weights once. A model that fits the caches may exceed its roofline. The
/// time to the first token comes from the first prompt, without warm-up.
///
/// The last columns show what tokens leave out, counted while a test warms up. The screen of the output head spares
/// most of its rows: head rows are the share that is computed for a generated token. A gate that is not
/// positive, or a zero into down, makes a row or a column of weights count for nothing.
///
/// Random weights (--synthetic) leave as much of a token's work out as trained ones do: --gate-density and
/// --head-peak set how much.
///
/// With several numbers of threads, another table has the ratio of each test's speed to that with the fewest
/// threads, and the efficiency. An efficiency of 100 % means that twice the threads give twice the speed.
///
/// --plot draws the results under the roofs for every number of threads. With several numbers of threads
/// it also draws the speed of each test over the number of threads.
///
/// --against compares this program with another build of it. Both measure with the same options, in turns. The table
/// shows the median ratio of this program's speed to the other's, and the least and the greatest ratio.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Bench {
    #[command(subcommand)]
    part: Option<Part>,
    /// Prompt lengths; 0 for none
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', default_value = "128,512")]
    prompt: Vec<usize>,
    /// Numbers of tokens to generate; 0 for none
    #[arg(short = 'n', long = "gen", value_name = "N,...", value_delimiter = ',', default_value = "128")]
    generate: Vec<usize>,
    /// Numbers of sequences that generate at once, one after another
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1")]
    parallel: Vec<usize>,
    /// Generate the most probable tokens, instead of sampling as the model's files suggest
    ///
    /// Random weights have no such file: they sample with temperature 0.6, top-k 50 and top-p 0.9.
    #[arg(long)]
    greedy: bool,
    /// Runs of each test
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = within(1..=1000))]
    repeat: usize,
    /// Tokens in the context before a test starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    depth: usize,
    /// Compare with another build of this program
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["plot", "csv"])]
    against: Option<PathBuf>,
    /// Runs of each program with --against
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = within(1..=1000), requires = "against")]
    turns: usize,
    /// Measure joules per token, by the counters of the processor's packages (Linux, RAPL)
    ///
    /// The power of the machine at rest is measured first, for two seconds, and subtracted. Other programs count too. Where a
    /// machine has no counters, or reserves them for root, the report says that the energy is not available.
    #[arg(long, conflicts_with_all = ["against", "csv"])]
    energy: bool,
    /// Draw roofline and thread scaling to FILE, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    synthetic: SyntheticArgs,
    #[command(flatten)]
    isa: IsaArgs,
    /// Numbers of threads, one after another; by default one for each performance core
    #[arg(long, value_name = "N,...", value_delimiter = ',', help_heading = "Machine")]
    threads: Vec<usize>,
    #[command(flatten)]
    packing: PackingArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    mode: ModeArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Print the results as comma-separated values
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    csv: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// A measurement of a part of the engine.
#[derive(Subcommand, Debug)]
enum Part {
    Kernels(kernels::Kernels),
}

/// Returns a parser of numbers in `range`.
fn within(range: RangeInclusive<u64>) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::new().range(range)
}

impl Bench {
    pub(super) fn run(&self) -> Result<ExitCode> {
        if let Some(Part::Kernels(kernels)) = &self.part {
            return kernels.run();
        }
        let tests = self.tests()?;
        if let Some(other) = &self.against {
            return self.compare(other);
        }
        self.plot.as_deref().map_or(Ok(()), plot::check)?;
        let default = args::runtime(&self.groups())?.threads();
        let busy = busy::cores_in_use();
        busy::warn(busy);
        let cpu = Cpu::host().brand.clone();
        let metered = self.energy.then(|| Metered::start(REST));
        let mut summary = Summary {
            cpu,
            busy: busy.map(busy::is_busy),
            energy: metered.as_ref().map(|metered| summary::Energy::of(metered.as_ref())),
            ..Summary::default()
        };
        let metered = metered.and_then(Result::ok);
        let counts = if self.threads.is_empty() { &[default] } else { &self.threads[..] };
        for &threads in counts {
            self.run_threads(threads, &tests, metered.as_ref(), &mut summary)?;
        }
        match (self.output.json, self.csv) {
            (true, _) => report::print_json(&summary)?,
            (_, true) => report::print(&summary.csv())?,
            _ => report::print(&summary.markdown())?,
        }
        if let Some(path) = &self.plot {
            plot::write(path, &plot::of_model(&summary))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Measures this program and `other` in turns.
    fn compare(&self, other: &Path) -> Result<ExitCode> {
        busy::warn(busy::cores_in_use());
        let comparisons = against::compare(other, self.turns)?;
        match self.output.json {
            true => report::print_json(&comparisons)?,
            false => report::print(&against::table(&comparisons))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn groups(&self) -> [&dyn RuntimeArgs; 5] {
        [&self.isa, &self.packing, &self.cache, &self.mode, &self.precision]
    }

    fn tests(&self) -> Result<Vec<Test>> {
        let prompts = self.prompt.iter().map(|&tokens| Test::Prompt(tokens));
        let generate = self.generate.iter().flat_map(|&tokens| {
            self.parallel.iter().map(move |&parallel| Test::Generate { tokens, parallel })
        });
        let tests: Vec<Test> = prompts.chain(generate).filter(|test| test.tokens() > 0).collect();
        let most = Model::MOST_SEQUENCES;
        if let Some(wrong) = self.parallel.iter().find(|&&parallel| !(1..=most).contains(&parallel)) {
            let (problem, remedy) = (format!("{wrong} is out of range"), format!("use 1 to {most}"));
            return Err(Error::bad_argument("--parallel", problem, remedy).into());
        }
        if tests.is_empty() {
            let (flags, problem) = ("--prompt and --gen", "there is nothing to run");
            return Err(Error::bad_argument(flags, problem, "ask for some tokens").into());
        }
        Ok(tests)
    }

    /// Loads the model for `threads` threads, and measures it together with the roofs.
    fn run_threads(
        &self,
        threads: usize,
        tests: &[Test],
        metered: Option<&Metered>,
        summary: &mut Summary,
    ) -> Result<()> {
        let options = args::runtime_options(&self.groups())?;
        let runtime = Runtime::new(&RuntimeOptions { threads: Some(threads), ..options });
        let preset = self.synthetic.preset()?;
        let (model, sampling) = self.load(preset.as_ref(), &runtime)?;
        let mut workload = Workload::new(&model, tests, self.depth, &sampling)?;
        summary.sampling = Described(&sampling).to_string();
        summary.model = model.name().to_owned();
        summary.synthetic = preset.as_ref().map(Likeness::of);
        summary.load_s = model.load_time().as_secs_f64();
        summary.first_token_s = workload.first_token()?.as_secs_f64();
        let rates = workload.rates(self.repeat, metered)?;
        // Read before the first roof is measured, because its buffer may be larger than the model.
        summary.peak_rss_bytes = summary.peak_rss_bytes.or_else(report::peak_rss_bytes);
        let roof = Roof::measure(runtime.isa(), threads)?;
        summary.results.extend(rates.iter().map(|rates| Outcome::new(rates, &model, &runtime, &roof)));
        summary.roofline.push(roof);
        Ok(())
    }

    /// Loads the model, or draws it if there is a preset. Also returns the way in which its tokens are chosen.
    fn load(&self, preset: Option<&Preset>, runtime: &Runtime) -> Result<(Model, SamplerOptions)> {
        let spinner = progress::spinner("loading the model");
        let (model, defaults) = match preset {
            Some(preset) => {
                let usual = GenerationDefaults {
                    do_sample: Some(true),
                    temperature: Some(0.6),
                    top_p: Some(0.9),
                    ..GenerationDefaults::default()
                };
                (Model::synthetic(preset, runtime)?, usual)
            }
            None => {
                let files = self.model.files()?;
                let model = Model::load(&files, runtime)?;
                let defaults = GenerationDefaults::load(&files, model.config())?;
                (model, defaults)
            }
        };
        spinner.finish_and_clear();
        let choices = SamplingChoices { greedy: self.greedy, ..SamplingChoices::default() };
        Ok((model, choices.over(&defaults)))
    }
}
