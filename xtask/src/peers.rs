//! `cargo xtask peers`: compares Tercet with other engines on the same machine, in the same run.

mod engine;
mod place;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use engine::{Engine, Tests};
use place::Place;
use table::{Column, Row};

/// Tests and their tokens per second.
type Rates = Vec<(String, f64)>;

const ABOUT: &str = "\
Everything is installed and written below target/peers. It takes 2 GB, or 12 GB with transformers.
It needs python3 with venv, a C++ compiler and the package index. The model has random weights in the
shape of BitNet b1.58 2B-4T. Each round runs every engine once with every number of threads. The table
shows medians, and their ratios to Tercet's. If a peer cannot be installed, the report says why.

Examples:
  cargo xtask peers --list
  cargo xtask peers --only llama-cpp-tq2_0 --repeat 5 --priority
  cargo xtask peers --llama-bench PATH/llama-bench --gguf MODEL.gguf";

#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub(crate) struct Peers {
    /// Peers to compare with [default: all]
    #[arg(long, value_name = "PEER,...", value_delimiter = ',')]
    only: Vec<String>,
    /// List the peers
    #[arg(long)]
    list: bool,
    /// Print the commands without running them
    #[arg(long)]
    dry_run: bool,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Numbers of threads
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Prompt lengths
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "128,512")]
    prompt: Vec<usize>,
    /// Numbers of tokens to generate
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "128")]
    generate: Vec<usize>,
    /// A llama-bench binary of llama.cpp, or of a fork, to compare with
    #[arg(long, value_name = "PATH", requires = "gguf")]
    llama_bench: Option<PathBuf>,
    /// The model for llama-bench
    #[arg(long, value_name = "FILE", requires = "llama_bench")]
    gguf: Option<PathBuf>,
    /// Run under `chrt -f 50`, with real-time priority, where the system allows it
    #[arg(long)]
    priority: bool,
}

/// An engine, and its results so far.
struct Entry {
    engine: Engine,
    rates: BTreeMap<Column, Vec<f64>>,
    /// The reason why it does not run, or no longer runs.
    missing: Option<String>,
}

impl Peers {
    pub(crate) fn run(&self) -> Result<()> {
        let engines = self.engines()?;
        if self.list {
            engines.iter().for_each(|engine| println!("{:<18} {}", engine.key(), engine.title()));
            return Ok(());
        }
        let (place, tests) =
            (Place::new(), Tests { prompt: self.prompt.clone(), generate: self.generate.clone() });
        if self.dry_run {
            self.rehearse(&engines, &place, &tests);
            return Ok(());
        }
        fs::create_dir_all(place.folder())
            .with_context(|| format!("cannot make {}", place.folder().display()))?;
        let priority = self.priority && may_have_priority();
        let mut entries: Vec<Entry> =
            engines.into_iter().map(|engine| Entry::set_up(engine, &place)).collect();
        if let Some(reason) = &entries[0].missing {
            bail!("Tercet cannot be built: {reason}");
        }
        for round in 1..=self.repeat {
            for &threads in &self.threads {
                for entry in entries.iter_mut().filter(|entry| entry.missing.is_none()) {
                    let name = entry.engine.key();
                    eprintln!("== round {round} of {}: {name}, threads: {threads}", self.repeat);
                    let command = entry.engine.bench(&place, &tests, threads);
                    entry.measure(if priority { with_priority(&command) } else { command }, threads);
                }
            }
        }
        print!("{}", self.report(&entries, &tests));
        Ok(())
    }

    /// Returns Tercet, and then its peers.
    fn engines(&self) -> Result<Vec<Engine>> {
        let mut peers = Engine::PEERS.to_vec();
        if let (Some(program), Some(gguf)) = (self.llama_bench.clone(), self.gguf.clone()) {
            ensure!(gguf.is_file(), "--gguf: {}: no such file; name a model in GGUF", gguf.display());
            peers.push(Engine::LlamaBench { program, gguf });
        }
        for name in &self.only {
            let known = || peers.iter().map(Engine::key).collect::<Vec<_>>().join(", ");
            ensure!(peers.iter().any(|peer| peer.key() == *name), "--only: {name} is none of {}", known());
        }
        let asked = |peer: &Engine| self.only.is_empty() || self.only.contains(&peer.key());
        Ok([Engine::Tercet].into_iter().chain(peers.into_iter().filter(asked)).collect())
    }

    fn rehearse(&self, engines: &[Engine], place: &Place, tests: &Tests) {
        for engine in engines {
            println!("# {}", engine.key());
            for step in engine.steps(place) {
                let done = step.makes.is_some_and(|path| path.exists());
                println!("{}{}", show(&step.command), if done { "  # done" } else { "" });
            }
            self.threads
                .iter()
                .for_each(|&threads| println!("{}", show(&engine.bench(place, tests, threads))));
        }
    }

    fn report(&self, entries: &[Entry], tests: &Tests) -> String {
        let columns: Vec<Column> = tests
            .names()
            .flat_map(|test| self.threads.iter().map(move |&threads| Column { test: test.clone(), threads }))
            .collect();
        let ran = entries.iter().filter(|entry| !entry.rates.is_empty());
        let rows: Vec<Row> = ran.map(Entry::row).collect();
        let mut report = format!(
            "BitNet b1.58 2B-4T's shape, tokens/s on {} (ratio to Tercet), median of {} round{}\n\n{}",
            cpu_name(),
            self.repeat,
            if self.repeat == 1 { "" } else { "s" },
            table::markdown(&columns, &rows)
        );
        let mut notes: Vec<String> =
            entries.iter().filter_map(|entry| entry.engine.note()).map(str::to_owned).collect();
        notes.dedup();
        let missing =
            |entry: &Entry| Some(format!("{} is missing: {}", entry.engine.key(), entry.missing.as_ref()?));
        notes.extend(entries.iter().filter_map(missing));
        notes.iter().for_each(|note| report += &format!("\n{note}\n"));
        report
    }
}

impl Entry {
    /// Runs the steps that no earlier run has done.
    fn set_up(engine: Engine, place: &Place) -> Self {
        let steps = engine.steps(place).into_iter();
        let undone = steps.filter(|step| !step.makes.as_ref().is_some_and(|path| path.exists()));
        let missing =
            undone.map(|mut step| crate::steps::run(&step.name, &mut step.command)).find_map(Result::err);
        let missing = missing.map(|error| format!("{error:#}"));
        if let Some(reason) = &missing {
            eprintln!("== {} is missing: {reason}", engine.key());
        }
        Entry { engine, rates: BTreeMap::new(), missing }
    }

    fn measure(&mut self, mut command: Command, threads: usize) {
        match self.rates(&mut command) {
            Ok(rates) => rates.into_iter().for_each(|(test, rate)| {
                self.rates.entry(Column { test, threads }).or_default().push(rate);
            }),
            Err(error) => {
                eprintln!("== {}: {error:#}", self.engine.key());
                self.missing = Some(format!("{error:#}"));
            }
        }
    }

    fn rates(&self, command: &mut Command) -> Result<Rates> {
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("{} cannot be started", show(command)))?;
        ensure!(output.status.success(), "it failed ({})", output.status);
        self.engine.rates(&String::from_utf8_lossy(&output.stdout))
    }

    fn row(&self) -> Row {
        let medians =
            self.rates.iter().filter_map(|(column, rates)| Some((column.clone(), table::median(rates)?)));
        let title = self.engine.title();
        let title = if self.engine == Engine::Tercet { format!("**{title}**") } else { title };
        Row { title, head: self.engine.head().to_owned(), rates: medians.collect() }
    }
}

/// Returns the same command with real-time priority.
fn with_priority(command: &Command) -> Command {
    let mut first = Command::new("chrt");
    first.args(["-f", "50"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        first.current_dir(folder);
    }
    first
}

fn may_have_priority() -> bool {
    let allowed = with_priority(&Command::new("true")).output().is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("== --priority: `chrt -f 50` is not allowed here; going on without");
    }
    allowed
}

/// Formats the command for a shell.
fn show(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}='{}'", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    variables.chain(words.map(|word| word.to_string_lossy().into_owned())).collect::<Vec<_>>().join(" ")
}

fn cpu_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "this machine".to_owned(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        peers: Peers,
    }

    fn peers(arguments: &[&str]) -> Peers {
        Cli::parse_from([&["peers"], arguments].concat()).peers
    }

    #[test]
    fn tercet_runs_beside_the_chosen() {
        let keys = |arguments: &[&str]| -> Vec<String> {
            peers(arguments).engines().unwrap().iter().map(Engine::key).collect()
        };
        assert_eq!(keys(&[]), ["tercet", "llama-cpp-tq2_0", "llama-cpp-tq1_0", "transformers"]);
        assert_eq!(keys(&["--only", "transformers"]), ["tercet", "transformers"]);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(
            keys(&["--only", "llama-bench", "--llama-bench", "b", "--gguf", file]),
            ["tercet", "llama-bench"]
        );
        let unknown = peers(&["--only", "ollama"]).engines().unwrap_err().to_string();
        assert!(unknown.contains("ollama") && unknown.contains("llama-cpp-tq1_0"), "{unknown}");
        assert!(peers(&["--llama-bench", "b", "--gguf", "no-such-file"]).engines().is_err());
    }

    #[test]
    fn a_missing_peer_is_reported_with_the_reason() {
        let options = peers(&["--threads", "1", "--prompt", "8", "--generate", "4"]);
        let tests = Tests { prompt: options.prompt.clone(), generate: options.generate.clone() };
        let column = |test: &str| Column { test: test.to_owned(), threads: 1 };
        let entry = |engine, rates: &[(&str, f64)], missing: Option<&str>| Entry {
            engine,
            rates: rates.iter().map(|(test, rate)| (column(test), vec![*rate])).collect(),
            missing: missing.map(str::to_owned),
        };
        let entries = [
            entry(Engine::Tercet, &[("pp8", 200.0), ("tg4", 50.0)], None),
            entry(Engine::LlamaCpp("TQ2_0"), &[("pp8", 50.0)], Some("it failed (signal: 9)")),
            entry(Engine::Transformers, &[], Some("no compiler")),
        ];
        let report = options.report(&entries, &tests);
        assert!(report.contains("| **Tercet** | exact | 200 (1.00×) | 50.0 (1.00×) |"), "{report}");
        assert!(report.contains("| llama.cpp, TQ2_0 | Q6_K | 50.0 (0.25×) | – |"), "{report}");
        assert!(report.contains("\ntransformers is missing: no compiler\n"), "{report}");
        assert!(report.contains("llama-cpp-tq2_0 is missing: it failed"), "{report}");
    }

    #[test]
    fn a_peer_that_cannot_start_is_missing() {
        let engine = Engine::LlamaBench { program: "/no/such/program".into(), gguf: "g".into() };
        let mut entry = Entry::set_up(engine, &Place::new());
        assert_eq!(entry.missing, None);
        let tests = Tests { prompt: vec![1], generate: Vec::new() };
        let command = entry.engine.bench(&Place::new(), &tests, 1);
        entry.measure(command, 1);
        assert!(entry.rates.is_empty());
        assert!(entry.missing.unwrap().contains("/no/such/program"));
    }
}
