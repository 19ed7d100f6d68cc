//! `tercet show`: what a model is, without loading it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tercet_chat::ChatTemplate;
use tercet_engine::{SamplingChoices, Size};
use tercet_formats::{Config, Description, EmbeddingConfig, GenerationDefaults, ModelFiles};
use tercet_hub::{Hub, MODELS, NamedModel};

use crate::cli::args::{Described, OutputArgs};
use crate::cli::config;
use crate::cli::info::parameters;
use crate::cli::report::{self, Report};

const EXAMPLES: &str = "\
Examples:
  tercet show fairy-tales
  tercet show bitnet-2b --json | jq .positions";

const JSON: &str = "\
JSON: name, path, size (bytes), license, family, weights, parameters (ternary, float), layers,
width, vocabulary, positions, sampling, chat, embedding (size, prompts). path, size and license are
null where unknown. embedding is null for models that write text.";

/// Show what a model on this machine is
///
/// It reads the description of a model and not its weights. `tercet info -m MODEL` loads the model, and shows how it runs here.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(in crate::cli) struct Show {
    /// Model: a directory, a GGUF file, a name, or OWNER/REPO
    model: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Show {
    pub(in crate::cli) fn run(&self) -> Result<ExitCode> {
        let files = super::files_here(&super::hub()?, &self.model)?;
        let config = Config::load(&files)?;
        let facts = Facts {
            description: files.description()?,
            sampling: Described(
                &SamplingChoices::default().over(&GenerationDefaults::load(&files, &config)?),
            )
            .to_string(),
            paths: files.paths()?.unwrap_or_default(),
            has_template: ChatTemplate::load(&files).is_ok(),
            license: self.license(),
            embedding: EmbeddingConfig::load(&files, &config).ok().flatten(),
            files: &files,
            config,
        };
        match self.output.json {
            true => report::print_json(&facts.json())?,
            false => facts.report().print()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the licence of a model that has a name.
    fn license(&self) -> Option<&'static str> {
        let repository = Hub::repository(&config::aliased(&self.model).ok()?).ok().flatten()?;
        let is_of = |named: &&NamedModel| named.repository().is_ok_and(|other| other.id() == repository.id());
        MODELS.iter().find(is_of).map(|named| named.license)
    }
}

struct Facts<'a> {
    files: &'a ModelFiles,
    config: Config,
    description: Description,
    sampling: String,
    /// The files of the weights; none for the embedded model.
    paths: Vec<PathBuf>,
    has_template: bool,
    license: Option<&'static str>,
    /// None for a model that writes text.
    embedding: Option<EmbeddingConfig>,
}

impl Facts<'_> {
    fn size(&self) -> Option<u64> {
        let sizes =
            self.paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len());
        (!self.paths.is_empty()).then(|| sizes.sum())
    }

    /// Returns the file of the weights, or the folder of several files.
    fn place(&self) -> Option<&Path> {
        match &self.paths[..] {
            [file] => Some(file),
            files => files.first()?.parent(),
        }
    }

    fn json(&self) -> serde_json::Value {
        let Config { layers, hidden_size, vocab_size, max_positions, .. } = self.config;
        let (ternary, float) = parameters(&self.config);
        let embedding = self.embedding.as_ref().map(|embedding| {
            json!({ "size": hidden_size, "prompts": embedding.prompts.keys().collect::<Vec<_>>() })
        });
        json!({
            "name": self.files.name(), "path": self.place(), "size": self.size(), "license": self.license,
            "family": self.description.family, "weights": self.description.weights,
            "parameters": { "ternary": ternary, "float": float },
            "layers": layers, "width": hidden_size, "vocabulary": vocab_size, "positions": max_positions,
            "sampling": self.sampling, "chat": self.has_template, "embedding": embedding,
        })
    }

    fn report(&self) -> Report {
        let Config { layers, hidden_size, vocab_size, max_positions, .. } = self.config;
        let (ternary, float) = parameters(&self.config);
        let mut report = Report::new();
        report.heading(self.files.name());
        match self.place() {
            Some(path) => report.row("place", path.display()),
            None => report.row("place", "inside this program"),
        }
        self.size().into_iter().for_each(|size| report.row("size", Size(size)));
        self.license.iter().for_each(|license| report.row("licence", license));
        report.row("family", &self.description.family);
        report.row("weights", &self.description.weights);
        report.row("parameters", format_args!("{} ternary, {} float", millions(ternary), millions(float)));
        report.row("layers", format_args!("{layers} of width {hidden_size}"));
        report.row("vocabulary", vocab_size);
        report.row("positions", max_positions);
        match &self.embedding {
            Some(embedding) => {
                let prompts: Vec<&str> = embedding.prompts.keys().map(String::as_str).collect();
                let prompts = if prompts.is_empty() { "none".to_owned() } else { prompts.join(", ") };
                report.row("embeddings", format_args!("{hidden_size} numbers; prompts: {prompts}"));
            }
            None => {
                report.row("sampling", &self.sampling);
                report.row("chat", if self.has_template { "yes" } else { "no: it has no chat template" });
            }
        }
        report
    }
}

fn millions(number: usize) -> String {
    format!("{:.1} M", number as f64 / 1e6)
}
