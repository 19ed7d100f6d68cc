//! The model, and the length of its context.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tercet_formats::ModelFiles;

use crate::cli::loading;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct ModelArgs {
    /// Model: a directory, a GGUF file, a name, or hf:OWNER/REPO
    ///
    /// MODEL is one of
    /// - a directory in the Hugging Face format,
    /// - a GGUF file,
    /// - a name that `tercet models` lists,
    /// - hf:OWNER/REPO or hf:OWNER/REPO@REVISION, a repository of the Hugging Face hub,
    /// - hf:OWNER/REPO/FILE.gguf, a file of such a repository.
    ///
    /// Models that are not on this machine are downloaded first. The default is the model that
    /// TERCET_MODEL names, or else the small fairy-tales model inside this program.
    #[arg(short, long, value_name = "MODEL", verbatim_doc_comment)]
    pub(in crate::cli) model: Option<PathBuf>,
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
