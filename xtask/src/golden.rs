//! Python's word on models: what transformers and the `gguf` package make of ours, and the tests' models that they write.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{ROOT, cargo, run, target};

/// Writes the models of every family, and the GGUF files, into `tests/fixtures` anew. `git diff` tells whether anything is
/// different.
pub(crate) fn write(families: &[String]) -> Result<()> {
    let mut write = python("golden/families.py")?;
    write.arg(Path::new(ROOT).join("tests/fixtures"));
    run("write checkpoints and outputs", write.args(families))?;
    if families.is_empty() {
        run("write GGUF files", &mut python("gguf/write.py")?)?;
    }
    Ok(())
}

/// Runs what `tercet convert` writes in transformers, and reads it with the `gguf` package.
pub(crate) fn check_convert() -> Result<()> {
    run("build the program", &mut cargo("build -p tercet"))?;
    run("read what it converts", python("gguf/check.py")?.arg(target().join("debug/tercet")))
}

/// Python with the packages that the tests name, to run one of their scripts.
fn python(script: &str) -> Result<Command> {
    let mut python = Command::new(environment()?.join("bin/python"));
    python.arg("-B").arg(Path::new(ROOT).join("tests").join(script));
    Ok(python)
}

/// A virtual environment with the packages that the tests name, below the target directory.
pub(crate) fn environment() -> Result<PathBuf> {
    let (tests, venv) = (Path::new(ROOT).join("tests"), target().join("golden-venv"));
    let python = venv.join("bin/python");
    if !python.exists() {
        run("make a Python environment", Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for folder in ["golden", "gguf"] {
        install.arg("--requirement").arg(tests.join(folder).join("requirements.txt"));
    }
    run("install transformers and gguf", &mut install)?;
    Ok(venv)
}
