//! Where peers are installed and their models written.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::engine::Step;
use crate::ROOT;

/// A directory below cargo's target directory, which can be deleted at any time.
pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from);
        Place { folder: Path::new(ROOT).join(target).join("peers") }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model for llama.cpp with ternary weights of this type.
    pub(super) fn gguf(&self, ternary: &str) -> PathBuf {
        self.folder.join(format!("bitnet-2b-4t-{ternary}.gguf"))
    }

    /// The model for transformers.
    pub(super) fn checkpoint(&self) -> PathBuf {
        self.folder.join("bitnet-2b-4t-packed")
    }

    /// Makes the Python environment.
    pub(super) fn make_venv(&self) -> Step {
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(self.folder.join("venv"));
        Step { makes: Some(self.interpreter()), ..Step::new("make a Python environment", command) }
    }

    /// Installs the versions that a file in `xtask/peers` names.
    pub(super) fn pip(&self, requirements: &str, options: &[&str]) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-m", "pip", "install", "--quiet"]).args(options);
        command.arg("--requirement").arg(scripts().join(requirements));
        command
    }

    /// Runs a script of `xtask/peers`.
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
