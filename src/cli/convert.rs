//! `tercet convert`: a model in another format.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::Options;
use super::{progress, report};
use tercet_formats::TensorType;
use tercet_formats::{Format, convert};

const HELP: &str = "\
Examples:
  tercet convert -m DIR -o model.gguf                   a GGUF file, I2_S
  tercet convert -m DIR -o model.gguf --type tq2_0      one that llama.cpp runs
  tercet convert -m model.gguf -o DIR                   a directory for transformers

Weights stay what they are. All types but I2_S store scales in half precision: if that changes one, the report tells by
how much. Models with scales for groups of a row want --type q2_0, or become a directory of floats. What is written appears whole or not at all.
JSON fields: model, output, format, tensors, rounding.";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Convert {
    /// What to write: a file whose name ends in .gguf, or a directory
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Format to write; by default the one that the name of the output tells
    #[arg(long, value_name = "FORMAT")]
    to: Option<To>,
    /// Type of the ternary matrices in GGUF; by default i2_s
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Directory in the Hugging Face format
    Safetensors,
    /// One file
    Gguf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// bitnet.cpp's: 2 bits, one scale
    #[value(name = "i2_s")]
    I2S,
    /// llama.cpp's: 1.6875 bits
    #[value(name = "tq1_0")]
    Tq1_0,
    /// llama.cpp's: 2.0625 bits
    #[value(name = "tq2_0")]
    Tq2_0,
    /// llama.cpp's: 2.25 bits, a scale for every 64 weights
    #[value(name = "q2_0")]
    Q2_0,
}

impl Convert {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let format = self.format()?;
        let files = options.files()?;
        let spinner = progress::spinner(format!("converting {}", files.name()));
        let converted = convert(&files, &self.output, format, self.force)?;
        spinner.finish_and_clear();
        let (output, name) = (self.output.display().to_string(), name(format));
        if options.json {
            report::print_json(&json!({
                "model": files.name(),
                "output": output,
                "format": name,
                "tensors": converted.tensors,
                "rounding": converted.rounding,
            }))?;
        } else {
            let (count, model) = (converted.tensors, files.name());
            report::print(&format!("{output}: {count} tensors of {model} as {name}\n"))?;
            if converted.rounding > 0.0 {
                let percent = 100.0 * converted.rounding;
                report::note(format_args!("scales were rounded to half precision, by up to {percent:.3} %"));
            }
        }
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
                Err(tercet_engine::Error::bad_argument("--type", "is for GGUF only", remedy).into())
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

fn name(format: Format) -> &'static str {
    match format {
        Format::Safetensors => "safetensors",
        Format::Gguf(kind) => kind.name(),
    }
}
