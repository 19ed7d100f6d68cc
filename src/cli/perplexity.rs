//! `tercet perplexity`: how well the model predicts a text.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::options::{Options, Session};
use super::progress;
use super::report::{self, Report};
use crate::error::Error;
use crate::formats::Bytes;
use crate::model::{Logits, State};

/// The default window; with its start token it fills a context of 512.
const WINDOW: usize = 511;
/// Tokens whose logits are held at once.
const BATCH: usize = 64;

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
        let text = self.text()?;
        let session = options.load()?;
        let window = self.window(&session)?;
        let ids = self.encode(&text, &session)?;
        let nll = negative_log_likelihood(&session, &ids, window)?;
        let summary = Summary {
            model: session.model.name(),
            isa: session.runtime.isa().name(),
            threads: session.runtime.threads(),
            window,
            tokens: ids.len(),
            nll,
            perplexity: (nll / ids.len() as f64).exp(),
        };
        if options.json {
            report::print_json(&summary)?;
        } else {
            summary.report().print()?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self) -> Result<String> {
        let bytes = Bytes::read(&self.file)?.to_vec();
        String::from_utf8(bytes).map_err(|e| self.bad_file(e.to_string(), "convert it to UTF-8"))
    }

    fn window(&self, session: &Session) -> Result<usize> {
        let most = session.model.config().max_positions - 1;
        match self.window.unwrap_or(WINDOW.min(most)) {
            window if (1..=most).contains(&window) => Ok(window),
            window => {
                let remedy = format!("this model allows 1 to {most}");
                Err(Error::bad_argument("--window", format!("{window} is out of range"), remedy).into())
            }
        }
    }

    fn encode(&self, text: &str, session: &Session) -> Result<Vec<u32>> {
        let ids = session.tokenizer.encode(text, false)?;
        if ids.is_empty() {
            return Err(self.bad_file("there are no tokens to predict", "give a file with text"));
        }
        Ok(ids)
    }

    fn bad_file(&self, problem: impl Into<String>, remedy: &str) -> anyhow::Error {
        Error::malformed(self.file.display().to_string(), "the text", problem, remedy).into()
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

/// Σ -ln p of every token, each window on its own after the start token.
fn negative_log_likelihood(session: &Session, ids: &[u32], window: usize) -> Result<f64> {
    let bos = session.tokenizer.bos().ok_or_else(|| {
        let file = session.files.label("config.json");
        Error::malformed(file, "bos_token_id", "is missing", "name the token that starts a sequence")
    })?;
    let mut state = session.model.new_state(window + 1)?;
    let bar = progress::bar("predicting", ids.len());
    let mut nll = 0.0;
    for window in ids.chunks(window) {
        state.truncate(0);
        let mut previous = bos;
        for targets in window.chunks(BATCH) {
            nll += batch(session, &mut state, previous, targets)?;
            previous = targets[targets.len() - 1];
            bar.inc(targets.len() as u64);
        }
    }
    bar.finish_and_clear();
    Ok(nll)
}

/// Σ -ln p of `targets`, which follow `previous`, the one token before them that `state` does not hold yet.
fn batch(session: &Session, state: &mut State, previous: u32, targets: &[u32]) -> Result<f64> {
    let inputs: Vec<u32> = [&[previous], &targets[..targets.len() - 1]].concat();
    let logits = session.model.forward(state, &inputs, Logits::All)?;
    let rows = logits.chunks(session.model.config().vocab_size);
    Ok(rows.zip(targets).map(|(logits, &target)| -log_probability(logits, target)).sum())
}

/// ln of the softmax of `logits` at `target`.
fn log_probability(logits: &[f32], target: u32) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    f64::from(logits[target as usize]) - largest - total.ln()
}

#[cfg(test)]
mod tests {
    use super::log_probability;

    #[test]
    fn probabilities_by_hand() {
        let logits = [1000.0, 1000.0 + 3f32.ln()];
        assert!((log_probability(&logits, 0) - 0.25f64.ln()).abs() < 1e-4);
        assert!((log_probability(&logits, 1) - 0.75f64.ln()).abs() < 1e-4);
    }
}
