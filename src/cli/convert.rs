//! `tercet convert`: a model in another format.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::{ModelArgs, OutputArgs};
use super::{progress, report};
use tercet_engine::{Conversion, Error, Runtime, RuntimeOptions, convert, knobs};
use tercet_formats::{Format, ModelFiles, TensorType};

const EXAMPLES: &str = "\
Examples:
  tercet convert -m DIR -o model.gguf                   a GGUF file, I2_S
  tercet convert -m DIR -o model.gguf --type tq2_0      a GGUF file for llama.cpp
  tercet convert -m model.gguf -o DIR                   a directory for transformers";

const JSON: &str = "\
JSON: model, output, format, tensors, rounding, differences.";

/// Write the model in another format
///
/// Weights keep their values. All types except i2_s store scales in half precision. If that changes a
/// scale, the report states the largest change. A model with scales for groups of a row needs
/// --type q2_0, or becomes a directory of floats.
///
/// The new model is compared with its source: a thousand texts have the same tokens, the chat template,
/// the end tokens and the suggested sampling are the same, and so are greedy texts. What llama.cpp
/// cannot learn from a GGUF file is listed by name. The output appears complete or not at all.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Convert {
    /// Output: a file that ends in .gguf, or a directory
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Format to write; by default gguf if the output ends in .gguf, or else safetensors
    #[arg(long, value_name = "FORMAT")]
    to: Option<To>,
    /// Type of the ternary matrices in a GGUF file; by default i2_s
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    /// Do not compare the new model with its source, which takes the time and memory to load both
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    out: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Directory in the Hugging Face format
    Safetensors,
    /// One GGUF file
    Gguf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// 2 bits per weight and one scale per matrix, for bitnet.cpp
    #[value(name = "i2_s")]
    I2S,
    /// 1.6875 bits per weight, for llama.cpp
    #[value(name = "tq1_0")]
    Tq1_0,
    /// 2.0625 bits per weight, for llama.cpp
    #[value(name = "tq2_0")]
    Tq2_0,
    /// 2.25 bits per weight with a scale for every 64 weights, for llama.cpp
    #[value(name = "q2_0")]
    Q2_0,
}

impl Convert {
    /// Names the flag that allows an existing output to be replaced.
    fn name_force(&self, error: Error) -> Error {
        match error {
            Error::BadArgument { argument, problem, .. }
                if argument == "output" && self.output.exists() && !self.force =>
            {
                Error::bad_argument(argument, problem, "choose another place, or replace it with --force")
            }
            error => error,
        }
    }

    pub(super) fn run(&self) -> Result<ExitCode> {
        let format = self.format()?;
        let files = self.model.files()?;
        let spinner = progress::spinner(format!("converting {}", files.name()));
        let Conversion { converted, differences } = match self.no_check {
            true => unchecked(&files, &self.output, format, self.force),
            false => convert(&files, &self.output, format, self.force, &runtime()?),
        }
        .map_err(|error| self.name_force(error))?;
        spinner.finish_and_clear();
        let (output, name) = (self.output.display().to_string(), name(format));
        if self.out.json {
            report::print_json(&json!({
                "model": files.name(),
                "output": output,
                "format": name,
                "tensors": converted.tensors,
                "rounding": converted.rounding,
                "differences": differences,
            }))?;
        } else {
            let (count, model) = (converted.tensors, files.name());
            report::print(&format!("{output}: {count} tensors of {model} as {name}\n"))?;
            if converted.rounding > 0.0 {
                let percent = 100.0 * converted.rounding;
                report::note(format_args!("scales were rounded to half precision, by up to {percent:.3} %"));
            }
        }
        let warnings = files.warnings();
        warnings.iter().chain(&differences).for_each(|line| report::note(format_args!("warning: {line}")));
        Ok(ExitCode::SUCCESS)
    }

    fn format(&self) -> Result<Format> {
        let named = match self.output.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf")) {
            true => To::Gguf,
            false => To::Safetensors,
        };
        match (self.to.unwrap_or(named), self.kind) {
            (To::Safetensors, None) => Ok(Format::Safetensors),
            (To::Safetensors, Some(_)) => {
                let remedy = "leave it out, or write GGUF: --to gguf, or an output that ends in .gguf";
                Err(tercet_engine::Error::bad_argument("--type", "applies to GGUF files only", remedy).into())
            }
            (To::Gguf, kind) => Ok(Format::Gguf(match kind.unwrap_or(Kind::I2S) {
                Kind::I2S => TensorType::I2S,
                Kind::Tq1_0 => TensorType::Tq1_0,
                Kind::Tq2_0 => TensorType::Tq2_0,
                Kind::Q2_0 => TensorType::Q2_0,
            })),
        }
    }
}

fn unchecked(files: &ModelFiles, out: &Path, format: Format, replace: bool) -> Result<Conversion, Error> {
    let converted = tercet_formats::convert(files, out, format, replace)?;
    Ok(Conversion { differences: converted.losses.clone(), converted })
}

/// Returns the runtime that the environment asks for, without a cache: nobody will load the unfinished
/// file again.
fn runtime() -> Result<Runtime, Error> {
    Ok(Runtime::new(&RuntimeOptions { cache_dir: None, ..knobs::runtime_options()? }))
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Safetensors => "safetensors",
        Format::Gguf(kind) => kind.name(),
    }
}
