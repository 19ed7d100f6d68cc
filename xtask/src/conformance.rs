//! Runs llama.cpp's own server tests against `tercet serve`. They come with the sources of a Python package.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::python::{environment, tool};
use crate::steps::{program, run, skip_unless_ci};
use crate::{ROOT, target};

const STEP: &str = "llama.cpp's server tests";

/// The package that brings the tests, at the version that the list of tests was made for.
const PACKAGE: &str = "llama-cpp-python";
const VERSION: &str = "0.3.36";

/// Fetches the tests and runs those of the list, where this system has Python or `CI=true`.
pub(crate) fn test() -> Result<()> {
    let ours = Path::new(ROOT).join("tests/conformance").canonicalize()?;
    let requirements = ours.join("requirements.txt");
    let requirements = requirements.to_string_lossy();
    let Some(venv) = environment("conformance-venv", STEP, &["--requirement", &requirements])? else {
        return Ok(());
    };
    let folder = target().join("conformance");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let folder = folder.canonicalize()?;
    let Some(theirs) = fetch(&venv, &folder)? else {
        return skip_unless_ci(STEP, "pip cannot download the tests");
    };
    let program = program()?;
    let models = models(&program, &folder)?;
    let list = fs::read_to_string(ours.join("tests.tsv")).context("tests/conformance/tests.tsv")?;
    let files: BTreeSet<&str> = list.lines().filter_map(|line| Some(line.split_once("::")?.0)).collect();
    let mut pytest = tool(&venv, "pytest");
    pytest
        .current_dir(theirs)
        .args(["--quiet", "-rxX", "-p", "plugin", "-p", "no:cacheprovider"])
        .args(files);
    pytest.env("PYTHONPATH", &ours).env("PYTHONDONTWRITEBYTECODE", "1").env("PORT", "18080");
    pytest.env("LLAMA_SERVER_BIN_PATH", ours.join("llama_server.py"));
    run(STEP, pytest.env("TERCET", program).env("FAIRY_TALES", models))
}

/// Returns the folder of the tests, which it downloads unless they are there. None if pip cannot.
fn fetch(venv: &Path, folder: &Path) -> Result<Option<PathBuf>> {
    let name = format!("{}-{VERSION}", PACKAGE.replace('-', "_"));
    let tests = folder.join(&name).join("vendor/llama.cpp/tools/server/tests");
    if tests.exists() {
        return Ok(Some(tests));
    }
    let mut pip = tool(venv, "pip");
    pip.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", PACKAGE]);
    pip.arg(format!("{PACKAGE}=={VERSION}")).arg("--dest").arg(folder);
    if !pip.status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let parts = ["*/tools/server/tests/*", "*/models/templates/*"];
    let mut tar = Command::new("tar");
    tar.args(["--wildcards", "-xzf", &format!("{name}.tar.gz")]).args(parts).current_dir(folder);
    run("unpack the tests", &mut tar)?;
    Ok(Some(tests))
}

/// Returns the folder with both forms of the model, and with a place for those that a test adapts.
fn models(program: &Path, folder: &Path) -> Result<PathBuf> {
    let models = folder.join("models");
    if models.exists() {
        fs::remove_dir_all(&models).with_context(|| models.display().to_string())?;
    }
    fs::create_dir_all(models.join("served")).with_context(|| models.display().to_string())?;
    for output in ["fairy-tales.gguf", "fairy-tales"] {
        let mut convert = Command::new(program);
        convert.args(["convert", "--no-check", "--output"]).arg(models.join(output));
        run(&format!("the model {output}"), &mut convert)?;
    }
    Ok(models)
}
