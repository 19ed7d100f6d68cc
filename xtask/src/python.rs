//! The Python package, in a virtual environment of its own: built, installed, type-checked and tested.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{ROOT, run, target};

/// What the tests need besides the package.
const NEEDED: [&str; 4] = ["maturin>=1.8,<2", "mypy>=1.10", "numpy", "pytest>=8"];

/// Builds and tests the package; says so and does without where there is no Python, unless `CI=true`.
pub(crate) fn test() -> Result<()> {
    let venv = target().join("python-venv");
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    if !venv.join("bin/pytest").exists() {
        if !make.output().is_ok_and(|output| output.status.success()) {
            return skip("python3 with venv is missing");
        }
        let mut pip = tool(&venv, "pip");
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(NEEDED);
        if !pip.status().is_ok_and(|status| status.success()) {
            return skip("its tools cannot be installed");
        }
    }
    let mut build = tool(&venv, "maturin");
    run("Python package", build.args(["develop", "--quiet", "--profile", "dev"]))?;
    run("types of the Python package", tool(&venv, "mypy").args(["tercet", "tests", "examples"]))?;
    run("tests of the Python package", tool(&venv, "pytest").args(["--quiet", "-rs"]))
}

fn skip(reason: &str) -> Result<()> {
    if env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("the Python package cannot be tested: {reason}");
    }
    eprintln!("== Python package: skipped, {reason}");
    Ok(())
}

/// A program of the environment, started in the package's folder.
fn tool(venv: &Path, name: &str) -> Command {
    let mut command = Command::new(venv.join("bin").join(name));
    command.current_dir(Path::new(ROOT).join("python")).env("VIRTUAL_ENV", venv);
    command.env("CARGO_TARGET_DIR", target());
    command
}
