//! `tercet models`: the models that have names.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::options::Options;
use super::report::{self, Report, size};
use tercet_engine::Error;
use tercet_hub::{Hub, HubOptions, MODELS, NamedModel};

const EXAMPLES: &str = "\
Any of these names can be given to --model; the model is downloaded from the Hugging Face hub unless it is on this
machine. So can fairy-tales, the model inside this program, hf:OWNER/REPO for other repositories,
hf:OWNER/REPO@REVISION, and hf:OWNER/REPO/FILE.gguf.

Examples:
  tercet models
  tercet chat -m bitnet-2b
  tercet models --json | jq -r '.models[] | select(.path).name'

JSON: models: [{name, repository, license, download, memory (bytes), path (null if not on this machine)}].";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Models {}

impl Models {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let hub = Hub::new(HubOptions::from_environment().map_err(Error::from)?).map_err(Error::from)?;
        match options.json {
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
    let NamedModel { name, repository, license, .. } = model;
    let path = hub.find(&model.repository()?);
    Ok(json!({
        "name": name, "repository": repository, "license": license, "download": bytes(model.download_mb),
        "memory": bytes(model.memory_mb), "path": path,
    }))
}

fn table(hub: &Hub) -> Result<Report> {
    let mut report = Report::new();
    report.heading("Models (download, memory with a context of 4096, licence, repository)");
    for model in &MODELS {
        let here = if hub.find(&model.repository()?).is_some() { ", on this machine" } else { "" };
        let (download, memory) = (size(bytes(model.download_mb)), size(bytes(model.memory_mb)));
        let NamedModel { name, repository, license, .. } = model;
        report.row(name, format_args!("{download:<9} {memory:<9} {license:<11} {repository}{here}"));
    }
    Ok(report)
}

fn bytes(megabytes: u32) -> usize {
    megabytes as usize * 1_000_000
}
