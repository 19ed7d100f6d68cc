//! `cargo xtask golden`: the tiny checkpoints of every model family and what transformers computes from them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{ROOT, run, target};

/// Writes them into `tests/fixtures` anew, with the versions that `tests/golden/requirements.txt` names, in a Python
/// environment below the target directory. `git diff` tells whether anything is different.
pub(crate) fn write(families: &[String]) -> Result<()> {
    let (root, venv) = (Path::new(ROOT), target().join("golden-venv"));
    let (scripts, python) = (root.join("tests/golden"), venv.join("bin/python"));
    if !python.exists() {
        run("make a Python environment", Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run("install transformers", install.arg(scripts.join("requirements.txt")))?;
    let mut write = Command::new(&python);
    write.arg("-B").arg(scripts.join("families.py")).arg(root.join("tests/fixtures"));
    run("write checkpoints and outputs", write.args(families))
}
