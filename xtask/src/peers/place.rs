//! The folder of the peers, their models and their Python environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::engine::Step;
use crate::{ROOT, target};

/// A folder below cargo's target directory. It can be deleted at any time.
pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        Place { folder: target().join("peers") }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of the model for llama.cpp with ternary weights of this type.
    pub(super) fn gguf(&self, ternary: &str) -> PathBuf {
        self.folder.join(format!("bitnet-2b-4t-{ternary}.gguf"))
    }

    /// Path of the model for transformers.
    pub(super) fn checkpoint(&self) -> PathBuf {
        self.folder.join("bitnet-2b-4t-packed")
    }

    /// Returns the step that makes the Python environment.
    pub(super) fn make_venv(&self) -> Step {
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(self.folder.join("venv"));
        Step { makes: Some(self.interpreter()), ..Step::new("make a Python environment", command) }
    }

    /// Returns a command that installs the versions in a file of `xtask/peers`.
    pub(super) fn pip(&self, requirements: &str, options: &[&str]) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-m", "pip", "install", "--quiet"]).args(options);
        command.arg("--requirement").arg(scripts().join(requirements));
        command
    }

    /// Returns a command that runs a script of `xtask/peers`.
    pub(super) fn python(&self, script: &str, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-B", "-W", "ignore::FutureWarning"]).arg(scripts().join(script)).args(arguments);
        command
    }

    fn interpreter(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }
}

fn scripts() -> PathBuf {
    Path::new(ROOT).join("xtask/peers")
}
