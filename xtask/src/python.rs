//! Builds, type-checks and tests the Python package in its own virtual environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::{run, skip_unless_ci};
use crate::{ROOT, golden, target};

const STEP: &str = "Python package";

/// The folder of the package's virtual environment.
const VENV: &str = "python-venv";

/// Requirements of the tests.
const NEEDED: [&str; 5] = ["maturin>=1.8,<2", "mypy>=1.10", "numpy", "pytest>=8", "twine>=6"];

/// Python code that needs the native half and the embedded model.
const PROGRAM: &str =
    "import tercet; model, _ = tercet.load_model(); print(''.join(model.stream('The sea', 9)))";

/// The packages that Tercet is compared with, at the versions that the comparison is true for.
const DIFFERENTIAL: &str = "tests/differential/requirements.txt";

/// Builds and tests the package, where this system has Python or `CI=true`. With `full`, builds its source distribution too.
pub(crate) fn test(full: bool) -> Result<()> {
    let Some(venv) = environment(VENV, STEP, &NEEDED)? else { return Ok(()) };
    develop(&venv)?;
    run("types of the Python package", tool(&venv, "mypy").args(["tercet", "tests", "examples"]))?;
    let mut stubs = tool(&venv, "stubtest");
    run("its stubs", stubs.args(["tercet._tercet", "--mypy-config-file", "pyproject.toml"]))?;
    run("tests of the Python package", tool(&venv, "pytest").args(["--quiet", "-rs"]))?;
    test_distribution(&venv, "wheel", "build --quiet --profile dev --out")?;
    if full {
        test_distribution(&venv, "source distribution", "sdist --out")?;
    }
    Ok(())
}

/// Compares the package with transformers and other programs that users compare it with. With `full`, over ten times as
/// many inputs.
pub(crate) fn test_differential(full: bool) -> Result<()> {
    const STEP: &str = "comparison with other programs";
    let requirements = Path::new(ROOT).join(DIFFERENTIAL);
    let requirements = requirements.to_string_lossy();
    let Some(venv) = environment(VENV, STEP, &[&NEEDED[..], &["--requirement", &requirements]].concat())?
    else {
        return Ok(());
    };
    develop(&venv)?;
    let mut pytest = tool(&venv, "pytest");
    pytest.args(["--quiet", "-rs", "../tests/differential"]).args(full.then_some("--full"));
    run(STEP, &mut pytest)
}

/// Runs the package's tests in an environment with torch. Without torch, the tests with tensors are skipped.
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

/// Runs lm-evaluation-harness with Tercet and with transformers, on the same tasks.
pub(crate) fn test_eval() -> Result<()> {
    let venv = golden::environment()?;
    let mut pip = tool(&venv, "pip");
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(NEEDED);
    run("install the harness", pip.args(["--requirement", "../tests/eval/requirements.txt"]))?;
    develop(&venv)?;
    run("lm-evaluation-harness", tool(&venv, "pytest").args(["--quiet", "-rs", "../tests/eval"]))
}

/// Runs the plugin for `llm`, the page by Gradio, and the notebook.
pub(crate) fn test_apps() -> Result<()> {
    let venv = golden::environment()?;
    let mut pip = tool(&venv, "pip");
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(NEEDED);
    run("install the apps", pip.args(["--requirement", "../tests/apps/requirements.txt"]))?;
    develop(&venv)?;
    run("apps and the notebook", tool(&venv, "pytest").args(["--quiet", "-rs", "../tests/apps"]))
}

/// Runs batches and replicas on nodes that Ray simulates, and kills some of them.
pub(crate) fn test_ray() -> Result<()> {
    const STEP: &str = "batches and replicas by Ray";
    let requirements = Path::new(ROOT).join("tests/ray/requirements.txt");
    let requirements = requirements.to_string_lossy();
    let Some(venv) =
        environment("ray-venv", STEP, &[&NEEDED[..], &["--requirement", &requirements]].concat())?
    else {
        return Ok(());
    };
    develop(&venv)?;
    run(STEP, tool(&venv, "pytest").args(["--quiet", "-rs", "../tests/ray"]))
}

/// Returns the virtual environment `name` with `packages`. Returns none if this system cannot make it, and then skips `step`.
pub(crate) fn environment(name: &str, step: &str, packages: &[&str]) -> Result<Option<PathBuf>> {
    let venv = target().join(name);
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    if !venv.join("bin/pip").exists() && !make.output().is_ok_and(|output| output.status.success()) {
        return skip_unless_ci(step, "python3 with venv is missing").map(|()| None);
    }
    let mut pip = tool(&venv, "pip");
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages);
    if !pip.status().is_ok_and(|status| status.success()) {
        return skip_unless_ci(step, "pip cannot install its tools").map(|()| None);
    }
    Ok(Some(venv))
}

fn develop(venv: &Path) -> Result<()> {
    let mut maturin = tool(venv, "maturin");
    run(STEP, maturin.args(["develop", "--quiet", "--profile", "dev"]))
}

/// Makes a wheel or a source distribution, installs it in an empty environment, and runs it without `PATH`.
fn test_distribution(venv: &Path, kind: &str, arguments: &str) -> Result<()> {
    let (folder, empty) = (target().join("python-distribution"), target().join("python-empty"));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let mut build = tool(venv, "maturin");
    run(kind, build.args(arguments.split(' ')).arg(&folder))?;
    let file = only_file(&folder)?;
    run(&format!("metadata of the {kind}"), tool(venv, "twine").args(["check", "--strict"]).arg(&file))?;
    let mut make = Command::new("python3");
    run("an empty environment", make.args(["-m", "venv", "--clear"]).arg(&empty))?;
    let mut pip = tool(&empty, "pip");
    // pip compiles a source distribution: with the profile of the other steps, so that it finds dependencies compiled.
    pip.env("MATURIN_PEP517_ARGS", "--profile dev");
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).arg(file);
    run(&format!("install the {kind}"), &mut pip)?;
    let mut python = tool(&empty, "python");
    python.env_clear().env("TERCET_CACHE_DIR", &folder).args(["-I", "-c", PROGRAM]);
    run(&format!("the {kind} alone"), &mut python)
}

/// Returns the only file in `folder`.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder).ok().and_then(|mut entries| entries.next());
    Ok(entry.with_context(|| format!("{} is empty", folder.display()))??.path())
}

/// Returns a command for a program of the environment, in the package's folder.
pub(crate) fn tool(venv: &Path, name: &str) -> Command {
    let mut command = Command::new(venv.join("bin").join(name));
    command.current_dir(Path::new(ROOT).join("python")).env("VIRTUAL_ENV", venv);
    command.env("CARGO_TARGET_DIR", target());
    command
}
