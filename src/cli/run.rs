//! `tercet run`: a chat, or the answer to one question.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  tercet run bitnet-2b
  tercet run bitnet-2b \"Why is the sky blue?\"
  tercet run fairy-tales \"Tell me about the sea\" --greedy -n 40";

/// Chat with a model, or ask it one question
///
/// `run MODEL` is `chat -m MODEL`. With a question, or with one from a pipe, it is `generate --chat -m MODEL`. Options come
/// last: those of `tercet chat`, or of `tercet generate`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// Model: a directory, a GGUF file, a name, or OWNER/REPO
    model: OsString,
    /// Question, and options of `tercet chat` or `tercet generate`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "QUESTION|OPTIONS")]
    rest: Vec<OsString>,
}

impl Run {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let asks = self.rest.first().is_some_and(|first| !first.to_string_lossy().starts_with('-'));
        let words: &[&str] = match asks || !io::stdin().is_terminal() {
            true => &["tercet", "generate", "--chat", "-m"],
            false => &["tercet", "chat", "-m"],
        };
        let words = words.iter().map(OsString::from).chain([self.model.clone()]).chain(self.rest.clone());
        Ok(super::obey(words))
    }
}
