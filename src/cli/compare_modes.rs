//! `tercet compare-modes`: the fast mode compared with the exact one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::args::{LoadArgs, ModeArgs, OutputArgs, SessionArgs};
use super::report::{self, Report};
use super::text::{self, TextFile};
use tercet_engine::prediction::{Prediction, Windows, perplexity};
use tercet_engine::{ActivationType, Mode};

const EXAMPLES: &str = "\
Examples:
  tercet compare-modes models/fairy-tales/valid.txt
  tercet compare-modes --activations f32 --json book.txt | jq .top1_agreement";

const JSON: &str = "\
JSON: model, isa, threads, window, tokens, top1_agreement, fast: {perplexity}, exact: {perplexity}.";

/// Compare the fast mode with the exact one on a text
///
/// Both modes predict every token of a text, as in `tercet perplexity`. Top-1 agreement is the share of
/// tokens where both modes rank the same token first. With --activations f32 the exact mode does not
/// round its activations, which shows the cost of rounding them to int8.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct CompareModes {
    /// Text file in UTF-8
    file: PathBuf,
    /// Tokens in a window; by default 511, or fewer if the model's context is shorter
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Use only the first N tokens of the text, because the exact mode is slow
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl CompareModes {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let text = TextFile::read(&self.file)?;
        let exact = self.session(Mode::Exact(ActivationType::default()));
        let mut fast = self.session(Mode::Fast);
        fast.load.precision.activations = None;

        let session = fast.open(None)?;
        let windows = Windows::new(session.model(), session.tokenizer(), self.window)?;
        let mut ids = text.tokens(&session)?;
        ids.truncate(self.tokens.unwrap_or(usize::MAX).max(1));
        let by_fast = text::predict("fast", &windows, session.model(), &ids)?;
        let (name, isa, threads) =
            (session.model().name().to_owned(), session.runtime().isa(), session.runtime().threads());
        // One model at a time: the exact one is large.
        drop(session);
        let by_exact = text::predict("exact", &windows, exact.open(None)?.model(), &ids)?;

        let agreement = agreement(&by_fast, &by_exact);
        let tokens = by_fast.len();
        let [fast, exact] = [by_fast, by_exact].map(|predictions| perplexity(&predictions));
        if self.output.json {
            report::print_json(&json!({
                "model": name, "isa": isa.name(), "threads": threads, "window": windows.size(),
                "tokens": tokens, "top1_agreement": agreement,
                "fast": { "perplexity": fast }, "exact": { "perplexity": exact },
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut report = Report::new();
        report.heading(format_args!("{name} on {isa}, {}", report::count(threads, "thread")));
        report.row("tokens", format_args!("{tokens} in windows of {}", windows.size()));
        report.row("same best token", format_args!("{:.2} %", 100.0 * agreement));
        report.row("perplexity, fast", format_args!("{fast:.4}"));
        report.row("perplexity, exact", format_args!("{exact:.4}"));
        report.print()?;
        Ok(ExitCode::SUCCESS)
    }

    fn session(&self, mode: Mode) -> SessionArgs {
        SessionArgs { load: self.load.clone(), mode: ModeArgs { mode: Some(mode) } }
    }
}

/// Returns the share of tokens for which both rank the same token first.
fn agreement(a: &[Prediction], b: &[Prediction]) -> f64 {
    let same = a.iter().zip(b).filter(|(a, b)| a.best == b.best).count();
    same as f64 / a.len() as f64
}
