//! The Python package, in a virtual environment of its own: built, installed, type-checked and tested.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::{ROOT, golden, run, target};

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
    develop(&venv)?;
    run("types of the Python package", tool(&venv, "mypy").args(["tercet", "tests", "examples"]))?;
    let mut stubs = tool(&venv, "stubtest");
    run("its stubs", stubs.args(["tercet._tercet", "--mypy-config-file", "pyproject.toml"]))?;
    run("tests of the Python package", tool(&venv, "pytest").args(["--quiet", "-rs"]))?;
    test_wheel(&venv)
}

/// The package's tests where torch is: those that hand it tensors are skipped otherwise.
pub(crate) fn test_torch() -> Result<()> {
    let venv = golden::environment()?;
    let mut pip = tool(&venv, "pip");
    run(
        "install the tests' tools",
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(NEEDED),
    )?;
    develop(&venv)?;
    run("tests of the Python package with torch", tool(&venv, "pytest").args(["--quiet", "-rs"]))
}

fn develop(venv: &Path) -> Result<()> {
    let mut maturin = tool(venv, "maturin");
    run("Python package", maturin.args(["develop", "--quiet", "--profile", "dev"]))
}

/// Installs the wheel in an environment that has nothing, and runs it where no other program is found.
fn test_wheel(venv: &Path) -> Result<()> {
    const PROGRAM: &str =
        "import tercet; model, _ = tercet.load_model(); print(''.join(model.stream('The sea', 9)))";
    let (wheels, empty) = (target().join("python-wheels"), target().join("python-empty"));
    if wheels.exists() {
        fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))?;
    }
    let mut build = tool(venv, "maturin");
    run("wheel", build.args(["build", "--quiet", "--profile", "dev", "--out"]).arg(&wheels))?;
    let mut make = Command::new("python3");
    run("an empty environment", make.args(["-m", "venv", "--clear"]).arg(&empty))?;
    let mut pip = tool(&empty, "pip");
    run(
        "install the wheel",
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).arg(only_file(&wheels)?),
    )?;
    let mut python = tool(&empty, "python");
    python.env_clear().env("TERCET_CACHE_DIR", &wheels).args(["-I", "-c", PROGRAM]);
    run("the wheel alone", &mut python)
}

/// The one file in `folder`.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder).ok().and_then(|mut entries| entries.next());
    Ok(entry.with_context(|| format!("{} is empty", folder.display()))??.path())
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
