//! `tercet perplexity`: how well the model predicts a text.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::options::Options;
use super::report::{self, Report};
use super::text::TextFile;
use tercet_engine::prediction::{Windows, negative_log_likelihood, perplexity};

const EXAMPLES: &str = "\
The text is tokenized once and cut into consecutive windows. Each window is preceded by the
model's start token and runs on its own, so every token of the text is predicted exactly once:
perplexity = exp(nll / tokens), where nll is the sum of -ln p(token). Lower is better.

Examples:
  tercet perplexity models/fairy-tales/valid.txt
  tercet perplexity --json book.txt | jq .perplexity

JSON: model, isa, threads, window, tokens, nll, perplexity.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Perplexity {
    /// The text, UTF-8
    file: PathBuf,
    /// Tokens in a window; by default 511, or what the model's context allows
    #[arg(long, value_name = "N")]
    window: Option<usize>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    model: &'a str,
    isa: &'a str,
    threads: usize,
    window: usize,
    tokens: usize,
    nll: f64,
    perplexity: f64,
}

impl Perplexity {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let text = TextFile::read(&self.file)?;
        let session = options.load()?;
        let windows = Windows::new(session.model(), session.tokenizer(), self.window)?;
        let ids = text.tokens(&session)?;
        let predictions = super::text::predict("predicting", &windows, session.model(), &ids)?;
        let summary = Summary {
            model: session.model().name(),
            isa: session.runtime().isa().name(),
            threads: session.runtime().threads(),
            window: windows.size(),
            tokens: ids.len(),
            nll: negative_log_likelihood(&predictions),
            perplexity: perplexity(&predictions),
        };
        match options.json {
            true => report::print_json(&summary)?,
            false => summary.report().print()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Summary<'_> {
    fn report(&self) -> Report {
        let mut report = Report::new();
        let threads = report::count(self.threads, "thread");
        report.heading(format_args!("{} on {}, {threads}", self.model, self.isa));
        report.row("tokens", format_args!("{} in windows of {}", self.tokens, self.window));
        report.row("nll", format_args!("{:.3}", self.nll));
        report.row("perplexity", format_args!("{:.4}", self.perplexity));
        report
    }
}
