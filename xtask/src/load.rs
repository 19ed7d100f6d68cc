//! Measures `tercet serve` under load, beside llama.cpp's server if asked.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::python::{environment, tool};
use crate::steps::run;
use crate::{ROOT, cargo, target};

const STEP: &str = "servers under load";

/// llama.cpp's server as a Python package.
const LLAMA: &str = "xllamacpp==2026.10.11549";

#[derive(Args)]
pub(crate) struct Load {
    /// The model; by default the embedded one
    #[arg(long)]
    model: Option<PathBuf>,
    /// Also measure llama.cpp's server, with the model in its own format
    #[arg(long)]
    llama: bool,
    /// Options of tests/load/load.py, after --
    #[arg(last = true)]
    options: Vec<String>,
}

impl Load {
    /// Builds the command and measures it.
    pub(crate) fn run(&self) -> Result<()> {
        let packages = if self.llama { &[LLAMA][..] } else { &["pip"] };
        let venv =
            environment("load-venv", STEP, packages)?.context("it needs Python and the package index")?;
        run("the server", &mut cargo("build --release --features cli"))?;
        let program = target().join("release/tercet").canonicalize()?;
        let mut python = tool(&venv, "python");
        python.arg(Path::new(ROOT).join("tests/load/load.py").canonicalize()?).arg("--tercet").arg(&program);
        let model = self.model.as_ref().map(|model| model.canonicalize()).transpose()?;
        if let Some(model) = &model {
            python.arg("--model").arg(model);
        }
        if self.llama {
            let file = target().join("load.gguf");
            let mut convert = std::process::Command::new(&program);
            convert.args(["convert", "--type", "q2_0", "--no-check", "--force", "--output"]).arg(&file);
            if let Some(model) = &model {
                convert.arg("--model").arg(model);
            }
            run("the model for llama.cpp", &mut convert)?;
            python.arg("--llama").arg(file.canonicalize()?);
        }
        run(STEP, python.args(&self.options))
    }
}
