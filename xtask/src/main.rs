//! Tercet's own commands: `cargo xtask --help` lists them.

#[cfg(unix)]
mod aarch64;
#[cfg(unix)]
mod clients;
#[cfg(unix)]
mod conformance;
mod gate;
mod golden;
mod links;
#[cfg(unix)]
mod load;
mod packages;
#[cfg(unix)]
mod page;
mod peers;
#[cfg(unix)]
mod python;
mod soak;
mod steps;
mod targets;
mod tools;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use steps::run;

const FUZZ_TARGETS: [&str; 10] = [
    "safetensors",
    "index",
    "gguf",
    "packed",
    "config",
    "tokenizer",
    "chat",
    "grammar",
    "request",
    "kernel_spec",
];

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Tercet's own build, test and comparison commands
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
enum Task {
    /// Run every check of the sources, all tests, and builds for other systems
    ///
    /// The sources: format, spelling, links, licences, lints, documentation. The tests: Rust and Python, comparisons with
    /// other programs, the server's clients and its page. Also every interleaving of the thread pool, every kernel on
    /// awkward sizes, and AArch64 under emulation. The other systems are macOS and Windows.
    Test {
        /// Add the checks that take longer: every size with every number of tokens, fuzzing, an hour of chaos, all
        /// emulated CPUs, the Python source distribution, advisories, and the command for Intel Macs
        #[arg(long)]
        full: bool,
        /// Go on after a failed step
        #[arg(long)]
        keep_going: bool,
    },
    /// Build for AArch64 and run the tests on three emulated CPUs: with I8MM, with SDOT, and with neither
    #[cfg(unix)]
    TestAarch64 {
        /// Run all tests on all CPUs
        #[arg(long)]
        full: bool,
    },
    /// Check that everything compiles for macOS and Windows
    CheckTargets {
        /// Check the command for every target where it can be checked
        #[arg(long)]
        full: bool,
    },
    /// Run every fuzz target (needs nightly Rust and cargo-fuzz)
    Fuzz {
        /// Seconds for each
        #[arg(default_value_t = 60)]
        seconds: u64,
    },
    /// Write the tests' tiny model of every family, the outputs of transformers for it, and the tests' GGUF files (needs
    /// Python and the package index)
    Golden {
        /// Only these families
        families: Vec<String>,
    },
    /// Check that transformers and the gguf package run and read the files that `tercet convert` writes (needs the same)
    CheckConvert,
    /// Build, type-check and test the Python package in its own environment, and its wheel in an empty one
    #[cfg(unix)]
    TestPython {
        /// Build the source distribution too, and install it
        #[arg(long)]
        full: bool,
    },
    /// Compare tokenizers, templates and files with transformers and other programs, over generated inputs (needs Python
    /// and the package index)
    #[cfg(unix)]
    TestDifferential {
        /// Take ten times as many inputs
        #[arg(long)]
        full: bool,
    },
    /// Run official clients of OpenAI, Anthropic and Ollama against the server (needs Python and the package index)
    #[cfg(unix)]
    TestClients,
    /// Run llama.cpp's own server tests against the server (needs Python and the package index)
    #[cfg(unix)]
    Conformance,
    /// Measure the server under load, beside llama.cpp's (needs Python and the package index)
    #[cfg(unix)]
    Load(load::Load),
    /// Trouble the server with good and bad clients, and check that nothing leaks and no text changes (needs Linux and
    /// Python)
    Soak {
        /// Seconds that it takes
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Drive the page of `tercet serve` in Chromium (needs Node.js, Chromium and npm's registry)
    #[cfg(unix)]
    TestPage {
        /// Write the documentation's picture of the page anew, and test nothing
        #[arg(long)]
        picture: bool,
    },
    /// Run the Python package's tests with torch's tensors (needs Python and the package index)
    #[cfg(unix)]
    TestTorch,
    /// Compare the figures of lm-evaluation-harness for Tercet with those for transformers (needs Python and the package
    /// index)
    #[cfg(unix)]
    TestEval,
    /// Run the plugin for `llm`, the page by Gradio and the notebook (needs Python and the package index)
    #[cfg(unix)]
    TestApps,
    /// Run two servers behind nginx, one of which is killed (needs nginx, Python and the package index)
    #[cfg(unix)]
    TestBalancer,
    /// Run batches and replicas by Ray on simulated nodes, some of which are killed (needs Python and the package index)
    #[cfg(unix)]
    TestRay,
    /// Compare Tercet with other engines on this machine, in one table
    Peers(peers::Peers),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Test { full, keep_going } => gate::test(full, keep_going),
        #[cfg(unix)]
        Task::TestAarch64 { full } => aarch64::test(full),
        Task::CheckTargets { full } => targets::check(full),
        Task::Fuzz { seconds } => fuzz(seconds),
        Task::Golden { families } => golden::write(&families),
        Task::CheckConvert => golden::check_convert(),
        #[cfg(unix)]
        Task::TestPython { full } => python::test(full),
        #[cfg(unix)]
        Task::TestDifferential { full } => python::test_differential(full),
        #[cfg(unix)]
        Task::TestClients => clients::test(),
        #[cfg(unix)]
        Task::Conformance => conformance::test(),
        #[cfg(unix)]
        Task::Load(load) => load.run(),
        Task::Soak { seconds } => soak::test(seconds),
        #[cfg(unix)]
        Task::TestPage { picture } => page::test(picture),
        #[cfg(unix)]
        Task::TestTorch => python::test_torch(),
        #[cfg(unix)]
        Task::TestEval => python::test_eval(),
        #[cfg(unix)]
        Task::TestApps => python::test_apps(),
        #[cfg(unix)]
        Task::TestBalancer => clients::test_balancer(),
        #[cfg(unix)]
        Task::TestRay => python::test_ray(),
        Task::Peers(peers) => peers.run(),
    }
}

fn fuzz(seconds: u64) -> Result<()> {
    let nightly = |arguments: &str| command("rustup", &format!("run nightly cargo fuzz {arguments}"));
    let is_installed = nightly("--version").output().is_ok_and(|output| output.status.success());
    ensure!(
        is_installed,
        "cargo-fuzz is missing: rustup toolchain install nightly && cargo install cargo-fuzz"
    );
    for target in FUZZ_TARGETS {
        let corpus = format!("fuzz/corpus/{target}");
        std::fs::create_dir_all(&corpus).with_context(|| corpus.clone())?;
        let run_target = format!("run {target} {corpus} fuzz/seeds/{target} -- -max_total_time={seconds}");
        run(target, &mut nightly(&run_target))?;
    }
    Ok(())
}

/// Returns a command for the cargo that started us, with space-separated `arguments`.
fn cargo(arguments: &str) -> Command {
    command(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments)
}

/// Returns a command for `program` with space-separated `arguments`, in the repository's root.
fn command(program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).current_dir(ROOT);
    if let Some(path) = tools::path() {
        command.env("PATH", path);
    }
    command
}

/// Cargo's target directory.
fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Path::new(ROOT).join(target)
}

/// Returns true in continuous integration, where steps must not be skipped for want of a tool.
fn is_ci() -> bool {
    env::var("CI").is_ok_and(|ci| ci == "true")
}
