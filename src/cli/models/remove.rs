//! `tercet rm`: deletes a downloaded model.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tercet_engine::{Error, Size};
use tercet_formats::ModelFiles;
use tercet_hub::{Hub, LocalModel, Repository};

use crate::cli::args::OutputArgs;
use crate::cli::config;
use crate::cli::report::{self, count};

const EXAMPLES: &str = "\
Examples:
  tercet rm bitnet-2b
  tercet rm --yes tiiuae/Falcon-E-1B-Instruct";

const JSON: &str = "\
JSON: repository, freed (bytes), with the packed forms.";

/// Delete a downloaded model
///
/// The whole folder of the model's repository in the Hugging Face hub's cache is deleted: every revision, and every file of
/// it. The packed forms of its models are deleted too, and nothing else.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(in crate::cli) struct Remove {
    /// Model: a name that `tercet list` shows, or OWNER/REPO
    model: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Remove {
    pub(in crate::cli) fn run(&self) -> Result<ExitCode> {
        let Some(repository) = Hub::repository(&config::aliased(&self.model)?)? else {
            let problem = "it was not downloaded by name";
            let remedy = "delete the files yourself, or name a model that `tercet list` shows";
            return Err(Error::bad_argument(self.model.display().to_string(), problem, remedy).into());
        };
        let hub = super::hub()?;
        let models = hub
            .local_models()?
            .into_iter()
            .filter(|model| model.repository == repository.id())
            .collect::<Vec<_>>();
        if !self.yes && !agreed(&repository, &models)? {
            report::note("nothing is deleted");
            return Ok(ExitCode::FAILURE);
        }
        let packed = forget_packed(&models)?;
        let freed = hub.remove(&repository)? + packed;
        match self.output.json {
            true => report::print_json(&json!({ "repository": repository.id(), "freed": freed }))?,
            false => report::print(&format!("{} is deleted, {} freed\n", repository.id(), Size(freed)))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Deletes the packed forms of `models`, and returns the number of bytes that they took.
fn forget_packed(models: &[LocalModel]) -> Result<u64> {
    let Some(cache) = super::packed_cache()? else { return Ok(0) };
    let mut freed = 0;
    for model in models {
        // A model that cannot be read has no packed form.
        if let Ok(files) = ModelFiles::open(&model.path) {
            freed += cache.forget(&files)?;
        }
    }
    Ok(freed)
}

/// Asks the user at the terminal.
///
/// # Errors
/// Fails if there is none.
fn agreed(repository: &Repository, models: &[LocalModel]) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let problem = "there is no terminal to ask at";
        return Err(Error::bad_argument("--yes", problem, "give it to delete without a question").into());
    }
    let size = Size(models.iter().map(|model| model.size).sum());
    report::note(format_args!("delete {}: {}, {size}? [y/N]", repository.id(), count(models.len(), "model")));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
