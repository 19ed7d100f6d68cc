//! Checks that Tercet compiles for systems that cannot be emulated here.

use anyhow::Result;

use crate::steps::{run, skip};
use crate::{cargo, command};

/// A target that is only compiled.
struct Target {
    triple: &'static str,
    /// Packages that every gate checks.
    quick: &'static str,
    /// Packages that `--full` checks.
    full: &'static str,
}

const COMMAND: &str = "-p tercet --features cli";
const LIBRARY: &str = "-p tercet --no-default-features";

/// The command is checked once for each system, and the library for the system's second architecture too: the command has
/// no code of its own for an architecture. TLS, which the command needs, wants clang for Windows on AArch64.
const TARGETS: [Target; 4] = [
    Target { triple: "aarch64-apple-darwin", quick: COMMAND, full: COMMAND },
    Target { triple: "x86_64-apple-darwin", quick: LIBRARY, full: COMMAND },
    Target { triple: "x86_64-pc-windows-gnu", quick: COMMAND, full: COMMAND },
    Target { triple: "aarch64-pc-windows-msvc", quick: LIBRARY, full: LIBRARY },
];

/// Checks every target with a standard library that rustup can add. Nothing is linked, so the C code of dependencies is not
/// compiled: that would need a C compiler for each system.
pub(crate) fn check(full: bool) -> Result<()> {
    const NO_C: &str = "true";
    for Target { triple, quick, full: all } in TARGETS {
        let added = command("rustup", &format!("target add {triple}")).output();
        if !added.is_ok_and(|output| output.status.success()) {
            skip(triple, "rustup cannot add it");
            continue;
        }
        let packages = if full { all } else { quick };
        let mut check = cargo(&format!("check {packages} --target {triple}"));
        for tool in ["CC", "AR"] {
            check.env(format!("{tool}_{}", triple.replace('-', "_")), NO_C);
        }
        run(triple, check.env("RUSTFLAGS", "-D warnings"))?;
    }
    Ok(())
}
