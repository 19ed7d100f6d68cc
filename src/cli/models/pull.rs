//! `tercet pull`: downloads a model.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tercet_engine::Error;
use tercet_hub::Hub;

use crate::cli::args::OutputArgs;
use crate::cli::{config, loading, report};

const EXAMPLES: &str = "\
Examples:
  tercet pull bitnet-2b
  tercet pull tiiuae/Falcon-E-1B-Instruct";

const JSON: &str = "\
JSON: model, path.";

/// Download a model, unless it is here
///
/// A download that broke off goes on where it stopped. Other commands download models too, when they need them.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(in crate::cli) struct Pull {
    /// Model: a name that `tercet models` lists, or OWNER/REPO
    model: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Pull {
    pub(in crate::cli) fn run(&self) -> Result<ExitCode> {
        let (path, model) = (config::aliased(&self.model)?, self.model.display().to_string());
        let Some(repository) = Hub::repository(&path)? else {
            let problem = "it is a file or folder of this machine";
            return Err(Error::bad_argument(model, problem, "name a model that can be downloaded").into());
        };
        loading::open_model(Some(&path))?;
        let path = super::hub()?.find(&repository);
        match self.output.json {
            true => report::print_json(&json!({ "model": model, "path": path }))?,
            false => {
                let path = path.unwrap_or_default();
                report::print(&format!("{model} is in {}\n", path.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
