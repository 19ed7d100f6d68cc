//! The model, and the length of its context.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use tercet_engine::Error;
use tercet_formats::ModelFiles;

use crate::cli::loading;

const ONE: &str = "Model: a directory, a GGUF file, a name, or OWNER/REPO";

const FORMS: &str = "\
MODEL is one of
- a directory in the Hugging Face format,
- a GGUF file,
- a name that `tercet models` lists,
- OWNER/REPO or OWNER/REPO@REVISION, a repository of the Hugging Face hub,
- OWNER/REPO/FILE.gguf, a file of such a repository.

A file or folder of this name comes first, unless hf: precedes it.

Models that are not on this machine are downloaded first. The default is the model that
TERCET_MODEL names, or else the small fairy-tales model inside this program.";

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct ModelArgs {
    /// Model: a directory, a GGUF file, a name, or OWNER/REPO
    #[arg(short, long, value_name = "MODEL", long_help = format!("{ONE}\n\n{FORMS}"))]
    pub(in crate::cli) model: Option<PathBuf>,
}

/// Several models at once, with names for them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct ModelsArgs {
    /// Model: a directory, a GGUF file, a name, or OWNER/REPO; repeatable
    #[arg(short, long, value_name = "MODEL", long_help = format!("{ONE}; repeatable\n\n{FORMS}"))]
    model: Vec<PathBuf>,
    /// Name by which clients find the model, instead of its own; repeatable
    ///
    /// All names stand for the only model, which is listed by the first. With several models, give one name for each,
    /// in their order.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    alias: Vec<String>,
}

impl ModelsArgs {
    /// Returns every model with its names. A model of none is the default one.
    pub(in crate::cli) fn named(&self) -> Result<Vec<(Option<&Path>, &[String])>> {
        let (models, names) = (self.model.len().max(1), self.alias.len());
        let each = match models {
            1 => names,
            _ if names == models => 1,
            _ if names == 0 => 0,
            _ => {
                let problem = format!("{names} names do not fit {models} models");
                return Err(Error::bad_argument("alias", problem, "give one for each, in their order").into());
            }
        };
        let model = |at: usize| self.model.get(at).map(PathBuf::as_path);
        Ok((0..models).map(|at| (model(at), &self.alias[at * each..][..each])).collect())
    }
}

impl ModelArgs {
    /// Opens the files of `--model`, of `TERCET_MODEL`, or of the model inside this program.
    pub(in crate::cli) fn files(&self) -> Result<ModelFiles> {
        Ok(loading::open_model(self.model.as_deref())?)
    }
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct ContextArgs {
    /// Tokens that the context holds; by default the model's limit, but at most 4096
    #[arg(long, value_name = "N")]
    pub(in crate::cli) context: Option<usize>,
}
