//! Tercet's own commands: `cargo xtask --help` lists them.

#[cfg(unix)]
mod aarch64;
mod golden;
mod peers;
#[cfg(unix)]
mod python;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Systems that the program is meant for and cannot be run on here, and how much of it is checked: on the last, the
/// command's TLS wants clang before it can be.
const TARGETS: [(&str, &str); 4] = [
    ("aarch64-apple-darwin", "-p tercet"),
    ("x86_64-apple-darwin", "-p tercet"),
    ("x86_64-pc-windows-gnu", "-p tercet"),
    ("aarch64-pc-windows-msvc", "-p tercet --no-default-features"),
];

const FUZZ_TARGETS: [&str; 6] = ["safetensors", "index", "gguf", "packed", "config", "kernel_spec"];

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Tercet's own build, test and comparison commands
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
enum Task {
    /// Format, lints, docs, all tests, the Python package, every interleaving of the thread pool, every kernel on every
    /// size, the program for AArch64 under emulation, and that it compiles for macOS and Windows
    Test,
    /// The program for AArch64, built here and emulated as a CPU with I8MM, one with SDOT and one with neither
    #[cfg(unix)]
    TestAarch64,
    /// That everything compiles for macOS and Windows
    CheckTargets,
    /// Every fuzz target (needs nightly Rust and cargo-fuzz)
    Fuzz {
        /// Seconds for each
        #[arg(default_value_t = 60)]
        seconds: u64,
    },
    /// The tests' tiny model of every family, what transformers computes from it, and the tests' GGUF files (needs Python
    /// and the package index)
    Golden {
        /// Only these
        families: Vec<String>,
    },
    /// That transformers and the gguf package run and read what `tercet convert` writes (needs the same)
    CheckConvert,
    /// The Python package: built, type-checked and tested in an environment of its own, and its wheel in an empty one
    #[cfg(unix)]
    TestPython,
    /// The Python package's tests with torch's tensors (needs Python and the package index)
    #[cfg(unix)]
    TestTorch,
    /// Tercet beside other engines on this machine, as one table
    Peers(peers::Peers),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Test => test(),
        #[cfg(unix)]
        Task::TestAarch64 => aarch64::test(),
        Task::CheckTargets => check_targets(),
        Task::Fuzz { seconds } => fuzz(seconds),
        Task::Golden { families } => golden::write(&families),
        Task::CheckConvert => golden::check_convert(),
        #[cfg(unix)]
        Task::TestPython => python::test(),
        #[cfg(unix)]
        Task::TestTorch => python::test_torch(),
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
    #[cfg(unix)]
    python::test()?;
    let loom = "test -p tercet-pool --release --test protocol --target-dir target/loom";
    run("every interleaving of the thread pool", cargo(loom).env("RUSTFLAGS", "--cfg loom"))?;
    run("every kernel on every size", &mut cargo("run --release -- verify --full"))?;
    test_aarch64()?;
    check_targets()?;
    eprintln!("== everything passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The program for AArch64, where this system has the tools for it; in CI it must.
#[cfg(unix)]
fn test_aarch64() -> Result<()> {
    match aarch64::missing() {
        Some(missing) if env::var("CI").as_deref() != Ok("true") => {
            eprintln!("== tests for AArch64: skipped, {missing}");
            Ok(())
        }
        _ => aarch64::test(),
    }
}

#[cfg(not(unix))]
fn test_aarch64() -> Result<()> {
    eprintln!("== tests for AArch64: skipped on this system");
    Ok(())
}

/// Checks every target whose standard library rustup can add. Nothing is linked, so the C of our dependencies need not be
/// compiled, for which these systems' own compilers would be wanted.
fn check_targets() -> Result<()> {
    const NO_C: &str = "true";
    for (target, packages) in TARGETS {
        let added = command("rustup", &format!("target add {target}")).output();
        if !added.is_ok_and(|output| output.status.success()) {
            eprintln!("== {target}: skipped, rustup cannot add it");
            continue;
        }
        let check = format!("check {packages} --target {target}");
        let mut check = cargo(&check);
        for tool in ["CC", "AR"] {
            check.env(format!("{tool}_{}", target.replace('-', "_")), NO_C);
        }
        run(target, check.env("RUSTFLAGS", "-D warnings"))?;
    }
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

/// Cargo's target directory.
fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Path::new(ROOT).join(target)
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
