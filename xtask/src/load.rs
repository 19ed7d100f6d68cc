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
    /// Measure random weights in the shape of BitNet b1.58 2B-4T
    #[arg(long, conflicts_with = "model")]
    synthetic: bool,
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
        let mut packages = vec!["numpy"];
        packages.extend(self.llama.then_some(LLAMA));
        let venv =
            environment("load-venv", STEP, &packages)?.context("it needs Python and the package index")?;
        run("the server", &mut cargo("build --release --features cli"))?;
        let program = target().join("release/tercet").canonicalize()?;
        let mut python = tool(&venv, "python");
        python.arg(Path::new(ROOT).join("tests/load/load.py").canonicalize()?).arg("--tercet").arg(&program);
        let synthetic = self.synthetic.then(|| synthetic(&venv)).transpose()?;
        let model = self.model.as_ref().or(synthetic.as_ref());
        let model = model.map(|model| model.canonicalize()).transpose()?;
        if let Some(model) = &model {
            python.arg("--model").arg(model);
        }
        if self.llama {
            let file = target().join("load.gguf");
            let mut convert = std::process::Command::new(&program);
            // TQ2_0 is what llama.cpp multiplies fastest. Its blocks of 256 do not divide the embedded model's rows.
            let kind = if self.synthetic { "tq2_0" } else { "q2_0" };
            convert.args(["convert", "--type", kind, "--no-check", "--force", "--output"]).arg(&file);
            if let Some(model) = &model {
                convert.arg("--model").arg(model);
            }
            run("the model for llama.cpp", &mut convert)?;
            python.arg("--llama").arg(file.canonicalize()?);
        }
        run(STEP, python.args(&self.options))
    }
}

/// Writes random weights with the tokenizer of the embedded model, unless they are there. Returns their folder.
fn synthetic(venv: &Path) -> Result<PathBuf> {
    let folder = target().join("load-bitnet-2b-4t");
    if !folder.join("config.json").exists() {
        let mut write = tool(venv, "python");
        write.arg(Path::new(ROOT).join("xtask/peers/write_checkpoint.py")).arg(&folder);
        run("the model", write.arg(Path::new(ROOT).join("models/fairy-tales")))?;
    }
    Ok(folder)
}
