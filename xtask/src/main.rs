//! Tercet's own commands: `cargo xtask test`, `cargo xtask fuzz` and `cargo xtask peers`.

mod peers;

use std::env;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;

const FUZZ_TARGETS: [&str; 3] = ["safetensors", "config", "kernel_spec"];

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Tercet's own build, test and comparison commands
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
enum Task {
    /// Format, lints, docs, all tests, every interleaving of the thread pool, and every kernel on every size
    Test,
    /// Every fuzz target (needs nightly Rust and cargo-fuzz)
    Fuzz {
        /// Seconds for each
        #[arg(default_value_t = 60)]
        seconds: u64,
    },
    /// Tercet beside other engines on this machine, as one table
    Peers(peers::Peers),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Test => test(),
        Task::Fuzz { seconds } => fuzz(seconds),
        Task::Peers(peers) => peers.run(),
    }
}

fn test() -> Result<()> {
    let start = Instant::now();
    run("format", &mut cargo("fmt --all -- --check"))?;
    run("format of the fuzz targets", &mut cargo("fmt --manifest-path fuzz/Cargo.toml -- --check"))?;
    run("lints", &mut cargo("clippy --workspace --all-targets -- -D warnings"))?;
    run(
        "lints of the library alone",
        &mut cargo("clippy -p tercet --no-default-features --lib -- -D warnings"),
    )?;
    run("documentation", cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    run("tests", &mut cargo("test --workspace"))?;
    let loom = "test -p tercet-pool --release --test protocol --target-dir target/loom";
    run("every interleaving of the thread pool", cargo(loom).env("RUSTFLAGS", "--cfg loom"))?;
    run("every kernel on every size", &mut cargo("run --release -- verify --full"))?;
    eprintln!("== everything passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
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

/// Cargo, the one that started us, with space-separated `arguments`.
fn cargo(arguments: &str) -> Command {
    command(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments)
}

/// `program` with space-separated `arguments`, in the repository's root.
fn command(program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).current_dir(ROOT);
    command
}

/// Runs one step, announced and timed.
fn run(step: &str, command: &mut Command) -> Result<()> {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    eprintln!("== {step}: {}", arguments.join(" "));
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{step} cannot be started"))?;
    ensure!(status.success(), "{step} failed ({status})");
    eprintln!("== {step}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
