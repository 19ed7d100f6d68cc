//! `tercet models`: the list of models that have names.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use tercet_hub::{Hub, MODELS, NamedModel};

use crate::cli::args::OutputArgs;
use crate::cli::report::{self, Report};
use crate::cli::toy::megabytes;

const EXAMPLES: &str = "\
Examples:
  tercet models
  tercet pull bitnet-2b
  tercet chat -m bitnet-2b
  tercet models --json | jq -r '.models[] | select(.path).name'";

const JSON: &str = "\
JSON: models: [{name, repository, revision, license, download (bytes), memory (bytes), path}].
revision is null if the newest one is taken. path is null if the model is not on this machine.";

/// List the models that have names
///
/// The option --model of other commands takes any of these names. A model that is not on this machine
/// is then downloaded from the Hugging Face hub. --model also takes fairy-tales (the model inside this
/// program), OWNER/REPO, OWNER/REPO@REVISION and OWNER/REPO/FILE.gguf.
///
/// A revision after @ names one commit for ever. Without one, the newest commit is taken.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(in crate::cli) struct Models {
    #[command(flatten)]
    output: OutputArgs,
}

impl Models {
    pub(in crate::cli) fn run(&self) -> Result<ExitCode> {
        let hub = super::hub()?;
        match self.output.json {
            true => {
                let models = MODELS.iter().map(|model| json(&hub, model)).collect::<Result<Vec<_>>>()?;
                report::print_json(&json!({ "models": models }))?;
            }
            false => table(&hub)?.print()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn json(hub: &Hub, model: &NamedModel) -> Result<Value> {
    let NamedModel { name, repository, revision, license, .. } = model;
    let path = hub.find(&model.repository()?);
    Ok(json!({
        "name": name, "repository": repository, "revision": revision, "license": license,
        "download": megabytes(model.download_mb).0, "memory": megabytes(model.memory_mb).0, "path": path,
    }))
}

fn table(hub: &Hub) -> Result<Report> {
    let mut report = Report::new();
    report.heading("Models (download, memory with a context of 4096, licence, repository)");
    let width = MODELS.iter().map(|model| model.name.len()).max().unwrap_or(0);
    for model in &MODELS {
        let here = if hub.find(&model.repository()?).is_some() { ", on this machine" } else { "" };
        let (download, memory) = (megabytes(model.download_mb), megabytes(model.memory_mb));
        let NamedModel { name, repository, license, .. } = model;
        let revision = model.revision.map(|commit| format!("@{}", &commit[..8])).unwrap_or_default();
        report.line(format_args!(
            "  {name:<width$}  {download:<9} {memory:<9} {license:<11} {repository}{revision}{here}"
        ));
    }
    Ok(report)
}
