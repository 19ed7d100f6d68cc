//! `tercet perplexity`: a measure of a model's predictions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::args::{OutputArgs, SessionArgs};
use super::report::{self, Report};
use super::text::TextFile;
use tercet_engine::prediction::{Windows, negative_log_likelihood, perplexity};

const EXAMPLES: &str = "\
Examples:
  tercet perplexity models/fairy-tales/valid.txt
  tercet perplexity --json book.txt | jq .perplexity";

const JSON: &str = "\
JSON: model, isa, threads, window, tokens, nll, perplexity.";

/// Measure how well the model predicts a text
///
/// perplexity = exp(nll / tokens), where nll is the sum of -ln p(token). Lower is better.
///
/// The text is tokenized once and cut into consecutive windows. Each window follows the model's start
/// token and runs on its own, so that every token of the text is predicted exactly once. A model whose texts
/// have no start token predicts each window after the token before it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Perplexity {
    /// Text file in UTF-8
    file: PathBuf,
    /// Tokens in a window; by default 511, or fewer if the model's context is shorter
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The output of `--json`.
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
    pub(super) fn run(&self) -> Result<ExitCode> {
        let text = TextFile::read(&self.file)?;
        let session = self.session.open(None)?;
        let windows = Windows::new(session.model(), session.tokenizer(), self.window)?;
        let ids = text.tokens(&session)?;
        let predictions = super::text::predict("predicting", &windows, session.model(), &ids)?;
        let summary = Summary {
            model: session.model().name(),
            isa: session.runtime().isa().name(),
            threads: session.runtime().threads(),
            window: windows.size(),
            tokens: predictions.len(),
            nll: negative_log_likelihood(&predictions),
            perplexity: perplexity(&predictions),
        };
        match self.output.json {
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
