//! `cargo xtask test`: everything that a change must pass.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::steps::{check, run, skip, skip_unless_ci};
use crate::{ROOT, cargo, command, links, packages, steps, target, targets, tools};
#[cfg(unix)]
use crate::{aarch64, clients, page, python, soak};

/// Tells `tests/fuzz.rs` to try other inputs each time, for this many seconds per target.
const FUZZ_SECONDS: &str = "FUZZ_SECONDS";

/// Tells `tests/cli/chaos` to go on for this many seconds per test: together a minute, or an hour.
const CHAOS_SECONDS: &str = "CHAOS_SECONDS";

/// Runs every step until one fails, or all with `keep_going`, and prints the table of steps.
pub(crate) fn test(full: bool, keep_going: bool) -> Result<()> {
    let start = Instant::now();
    if keep_going {
        steps::keep_going();
    }
    let result = all(full).and_then(|()| steps::require_all());
    steps::print_table(start.elapsed());
    if result.is_ok() {
        eprintln!("everything passed");
    }
    result
}

fn all(full: bool) -> Result<()> {
    read_sources(full)?;
    run("lints", &mut cargo("clippy --workspace --all-targets -- -D warnings"))?;
    run(
        "lints of the library alone",
        &mut cargo("clippy -p tercet --no-default-features --lib -- -D warnings"),
    )?;
    run("documentation", cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    run_tests(full)?;
    #[cfg(unix)]
    {
        python::test(full)?;
        python::test_differential(full)?;
        clients::test()?;
        soak::test(60)?;
        page::test(false)?;
    }
    #[cfg(not(unix))]
    skip("Python package and the server's page", "the gate tests them only on Unix");
    let loom = "test -p tercet-pool --test protocol --target-dir";
    let mut loom = cargo(loom);
    run(
        "every interleaving of the thread pool",
        loom.arg(target().join("loom")).env("RUSTFLAGS", "--cfg loom"),
    )?;
    let program = steps::program()?;
    let grid = if full { "--full" } else { "--quick" };
    run("every kernel on awkward sizes", Command::new(program).args(["verify", grid]))?;
    #[cfg(unix)]
    aarch64::test_if_possible(full)?;
    #[cfg(not(unix))]
    skip("tests for AArch64", "this system has no user-mode emulator");
    targets::check(full)
}

/// Steps that read the sources and compile nothing.
fn read_sources(full: bool) -> Result<()> {
    run("format", &mut cargo("fmt --all -- --check"))?;
    run("format of the fuzz targets", &mut cargo("fmt --manifest-path fuzz/Cargo.toml -- --check"))?;
    check("links", links::check)?;
    check("contents of the packages", packages::check)?;
    check_rust_version()?;
    let prebuilt = tools::install();
    let reason =
        prebuilt.err().map_or_else(|| "it is not installed".to_owned(), |error| format!("{error:#}"));
    tool("spelling", "typos", "", &reason)?;
    if tools::has("cargo-deny") {
        run("dependencies", &mut cargo("deny check bans licenses sources"))?;
        check_advisories(full)?;
    } else {
        skip_unless_ci("dependencies", &format!("cargo-deny is missing: {reason}"))?;
    }
    match tools::actionlint() {
        Ok(mut lint) => run("workflows", &mut lint)?,
        Err(error) => skip("workflows", &format!("{error:#}")),
    }
    if Path::new(ROOT).join("docs/book.toml").exists() {
        tool("book", "mdbook", "build docs", &reason)?;
    }
    Ok(())
}

/// Looks for known vulnerabilities of the dependencies, which needs GitHub.
fn check_advisories(full: bool) -> Result<()> {
    const STEP: &str = "advisories";
    if !full {
        skip(STEP, "only --full needs GitHub");
        return Ok(());
    }
    let fetched = cargo("deny fetch db").output();
    if !fetched.is_ok_and(|output| output.status.success()) {
        skip(STEP, "the advisory database cannot be fetched");
        return Ok(());
    }
    run(STEP, &mut cargo("deny --offline check advisories"))
}

/// Runs a tool as a step, or skips the step for `reason`.
fn tool(step: &str, program: &str, arguments: &str, reason: &str) -> Result<()> {
    if tools::has(program) {
        return run(step, &mut command(program, arguments));
    }
    skip_unless_ci(step, &format!("{program} is missing: {reason}"))
}

/// Runs the tests of every crate: with cargo-nextest, which runs those of several crates at once, or else with cargo.
fn run_tests(full: bool) -> Result<()> {
    let fuzzed = |mut command: Command| {
        if full {
            command.env(FUZZ_SECONDS, "60");
        }
        command
    };
    if !tools::has("cargo-nextest") {
        return run("tests", &mut fuzzed(cargo("test --workspace")));
    }
    run("build of the tests", &mut cargo("nextest run --workspace --no-run"))?;
    run("tests", &mut fuzzed(cargo("nextest run --workspace")))?;
    let seconds = if full { "600" } else { "10" };
    run("chaos", cargo("nextest run --workspace --test cli chaos::").env(CHAOS_SECONDS, seconds))?;
    run("tests in the documentation", &mut cargo("test --workspace --doc"))
}

/// Checks that this compiler is the oldest one that the manifest promises, so that the gate proves the promise.
fn check_rust_version() -> Result<()> {
    const STEP: &str = "oldest compiler";
    let output = command("rustc", "--version").output().context("rustc is missing")?;
    let (manifest, used) = (manifest_version()?, String::from_utf8_lossy(&output.stdout).into_owned());
    let (promised, found) = (version(&manifest), version(used.trim_start_matches("rustc ")));
    match (promised, found) {
        (Some(promised), Some(found)) if found == promised => check(STEP, || {
            eprintln!("it is Rust {manifest}, which every step uses");
            Ok(())
        }),
        (Some(promised), Some(found)) if found > promised => {
            skip(STEP, &format!("the manifest promises Rust {manifest}, and this is {}", used.trim()));
            Ok(())
        }
        _ => bail!("{STEP}: the manifest promises Rust {manifest}, and this is {}", used.trim()),
    }
}

/// Returns `rust-version` of the workspace's manifest.
fn manifest_version() -> Result<String> {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).context("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    Ok(line.context("Cargo.toml names no rust-version")?.trim_matches('"').to_owned())
}

/// Reads `1.95`, or `1.95.0 (59807616e 2026-04-14)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(['.', ' ', '-']).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_without_the_patch() {
        assert_eq!(version("1.95"), Some((1, 95)));
        assert_eq!(version("1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(version("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(version("none"), None);
        assert!(version(&manifest_version().unwrap()).is_some());
    }
}
