//! `tercet compare-modes`: the fast mode beside the exact one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::options::Options;
use super::report::{self, Report};
use super::text::{self, TextFile};
use tercet_engine::Mode;
use tercet_engine::prediction::{Prediction, Windows, perplexity};

const EXAMPLES: &str = "\
Both modes predict every token of a text, as `tercet perplexity` does. Top-1 agreement is how often
they take the same token for the likeliest. --activations f32 has the exact mode leave activations
as they are, which shows what rounding them to int8 costs.

Examples:
  tercet compare-modes models/fairy-tales/valid.txt
  tercet compare-modes --activations f32 --json book.txt | jq .top1_agreement

JSON: model, isa, threads, window, tokens, top1_agreement, fast: {perplexity}, exact: {perplexity}.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompareModes {
    /// The text, UTF-8
    file: PathBuf,
    /// Tokens in a window; by default 511, or what the model's context allows
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Only the text's first tokens: the exact mode is slow
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
}

impl CompareModes {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let text = TextFile::read(&self.file)?;
        let exact = Options { mode: Some(Mode::Exact(Default::default())), ..options.clone() };
        let fast = Options { mode: Some(Mode::Fast), activations: None, ..options.clone() };

        let session = fast.load()?;
        let windows = Windows::new(session.model(), session.tokenizer(), self.window)?;
        let mut ids = text.tokens(&session)?;
        ids.truncate(self.tokens.unwrap_or(usize::MAX).max(1));
        let by_fast = text::predict("fast", &windows, session.model(), &ids)?;
        let (name, isa, threads) =
            (session.model().name().to_owned(), session.runtime().isa(), session.runtime().threads());
        // One model at a time: the exact one is large.
        drop(session);
        let by_exact = text::predict("exact", &windows, exact.load()?.model(), &ids)?;

        let agreement = agreement(&by_fast, &by_exact);
        let [fast, exact] = [by_fast, by_exact].map(|predictions| perplexity(&predictions));
        if options.json {
            report::print_json(&json!({
                "model": name, "isa": isa.name(), "threads": threads, "window": windows.size(),
                "tokens": ids.len(), "top1_agreement": agreement,
                "fast": { "perplexity": fast }, "exact": { "perplexity": exact },
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut report = Report::new();
        report.heading(format_args!("{name} on {isa}, {}", report::count(threads, "thread")));
        report.row("tokens", format_args!("{} in windows of {}", ids.len(), windows.size()));
        report.row("same best token", format_args!("{:.2} %", 100.0 * agreement));
        report.row("perplexity, fast", format_args!("{fast:.4}"));
        report.row("perplexity, exact", format_args!("{exact:.4}"));
        report.print()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The share of tokens for which both have the same favourite.
fn agreement(a: &[Prediction], b: &[Prediction]) -> f64 {
    let same = a.iter().zip(b).filter(|(a, b)| a.best == b.best).count();
    same as f64 / a.len() as f64
}
