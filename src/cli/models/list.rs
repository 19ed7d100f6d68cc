//! `tercet list`: the models on this machine.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tercet_engine::Size;
use tercet_formats::{Description, ModelFiles};
use tercet_hub::{LocalModel, MODELS};

use crate::cli::args::OutputArgs;
use crate::cli::report::{self, Report};

const EXAMPLES: &str = "\
Examples:
  tercet list
  tercet list --json | jq -r '.models[].name'";

const JSON: &str = "\
JSON: models: [{name, repository, path, size (bytes), family, weights, modified}].
family and weights are null if the model's files cannot be read.";

/// List the models on this machine
///
/// These are the models in the Hugging Face hub's cache, whichever program has downloaded them. --model takes each of the
/// names. HF_HOME and HF_HUB_CACHE set the cache's place.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(in crate::cli) struct List {
    #[command(flatten)]
    output: OutputArgs,
}

impl List {
    pub(in crate::cli) fn run(&self) -> Result<ExitCode> {
        let models = super::hub()?.local_models()?;
        match self.output.json {
            true => report::print_json(&json!({ "models": models.iter().map(json).collect::<Vec<_>>() }))?,
            false if models.is_empty() => {
                report::note(format_args!("no model is here yet: tercet pull {}", MODELS[0].name));
            }
            false => table(&models).print()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the model's own words about itself, if its files can be read.
fn describe(model: &LocalModel) -> Option<Description> {
    ModelFiles::open(&model.path).and_then(|files| files.description()).ok()
}

fn json(model: &LocalModel) -> Value {
    let LocalModel { name, repository, path, size, .. } = model;
    let description = describe(model);
    json!({
        "name": name, "repository": repository, "path": path, "size": size,
        "family": description.as_ref().map(|description| &description.family),
        "weights": description.as_ref().map(|description| &description.weights),
        "modified": modified(model).map(|time| time.to_string()),
    })
}

fn table(models: &[LocalModel]) -> Report {
    let mut report = Report::new();
    report.heading("Models on this machine (size, family, weights, date)");
    let width = models.iter().map(|model| model.name.len()).max().unwrap_or(0);
    for model in models {
        let (family, weights) = match describe(model) {
            Some(Description { family, weights }) => (family, weights),
            None => ("unreadable".to_owned(), String::new()),
        };
        let date = modified(model).map(|time| time.to_zoned_datetime(TimeZone::system()).date().to_string());
        let (name, size, date) = (&model.name, Size(model.size), date.unwrap_or_default());
        report.line(format_args!("  {name:<width$}  {size:<9} {family:<13} {weights:<9} {date}"));
    }
    report
}

fn modified(model: &LocalModel) -> Option<Timestamp> {
    Timestamp::try_from(model.modified?).ok()
}
