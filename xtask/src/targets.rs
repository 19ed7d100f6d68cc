//! Checks that Tercet compiles for systems that cannot be emulated here.

use anyhow::Result;

use crate::steps::{run, skip};
use crate::{cargo, command};

/// A target that is only compiled.
struct Target {
    triple: &'static str,
    packages: &'static str,
    /// Every gate checks it. The others are for `--full`.
    always: bool,
}

const COMMAND: &str = "-p tercet --features cli";
const LIBRARY: &str = "-p tercet --no-default-features";

/// Every gate checks one target for each system: the command has no code of its own for an architecture. TLS, which the
/// command needs, wants clang for Windows on AArch64.
const TARGETS: [Target; 4] = [
    Target { triple: "aarch64-apple-darwin", packages: COMMAND, always: true },
    Target { triple: "x86_64-apple-darwin", packages: COMMAND, always: false },
    Target { triple: "x86_64-pc-windows-gnu", packages: COMMAND, always: true },
    Target { triple: "aarch64-pc-windows-msvc", packages: LIBRARY, always: false },
];

/// Checks every target with a standard library that rustup can add. Nothing is linked, so the C code of dependencies is not
/// compiled: that would need a C compiler for each system.
pub(crate) fn check(full: bool) -> Result<()> {
    const NO_C: &str = "true";
    for Target { triple, packages, .. } in TARGETS.into_iter().filter(|target| full || target.always) {
        let added = command("rustup", &format!("target add {triple}")).output();
        if !added.is_ok_and(|output| output.status.success()) {
            skip(triple, "rustup cannot add it");
            continue;
        }
        let mut check = cargo(&format!("check {packages} --target {triple}"));
        for tool in ["CC", "AR"] {
            check.env(format!("{tool}_{}", triple.replace('-', "_")), NO_C);
        }
        run(triple, check.env("RUSTFLAGS", "-D warnings"))?;
    }
    Ok(())
}
