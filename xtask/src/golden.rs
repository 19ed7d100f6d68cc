//! Writes the tests' models with transformers and the `gguf` package, and has these read Tercet's own files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::steps::run;
use crate::{ROOT, cargo, target};

/// Writes the models of every family, and the GGUF files, into `tests/fixtures`. `git diff` then shows what changed.
pub(crate) fn write(families: &[String]) -> Result<()> {
    let mut write = python("golden/families.py")?;
    write.arg(Path::new(ROOT).join("tests/fixtures"));
    run("write checkpoints and outputs", write.args(families))?;
    if families.is_empty() {
        let folder = Path::new(ROOT).join("tests/fixtures");
        run("write embedding models", python("golden/embedding.py")?.arg(folder))?;
        run("write GGUF files", &mut python("gguf/write.py")?)?;
    }
    Ok(())
}

/// Runs the output of `tercet convert` in transformers, and reads it with the `gguf` package.
pub(crate) fn check_convert() -> Result<()> {
    run("build the program", &mut cargo("build -p tercet --features cli"))?;
    run("read converted models", python("gguf/check.py")?.arg(target().join("debug/tercet")))
}

/// Returns a command that runs a script of the tests in Python, with the packages that it needs.
fn python(script: &str) -> Result<Command> {
    let mut python = Command::new(environment()?.join("bin/python"));
    python.arg("-B").arg(Path::new(ROOT).join("tests").join(script));
    Ok(python)
}

/// Returns a virtual environment with the packages that the tests name, below the target directory.
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
