//! Measures how well a model predicts a text.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # fn main() -> tercet_engine::Result<()> {
//! use tercet_engine::Cancel;
//! use tercet_engine::prediction::{Windows, perplexity};
//! use tercet_engine::{Model, Runtime, RuntimeOptions, Tokenizer, open_model};
//!
//! let files = open_model(None, &mut |_| {})?;
//! let model = Model::load(&files, &Runtime::new(&RuntimeOptions::default()))?;
//! let config = model.config();
//! let tokenizer = Tokenizer::load(&files, config.vocab_size)?;
//!
//! let ids = tokenizer.encode("Once upon a time, there was a little girl.", false)?;
//! let windows = Windows::new(&model, &tokenizer, None)?;
//! let predictions = windows.predict(&model, &ids, &Cancel::new(), |_| {})?;
//! assert_eq!(predictions.len(), ids.len());
//! assert!(perplexity(&predictions) < 20.0);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```

mod continuations;
mod profile;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::generate::log_sum;
use crate::model::{BATCH, Logits, Model, Part};
use crate::sampler::argmax;
use crate::tokenizer::Tokenizer;

pub use continuations::{Continued, continuation_logprobs, predict_continuations};
pub use profile::{Spread, TextProfile};

/// Tokens of a window by default. With the start token they fill a context of 512.
const WINDOW: usize = 511;

/// A model's prediction of one token of a text, from the tokens before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// The token that the model finds most likely.
    pub best: u32,
    /// The natural logarithm of the probability of the text's token.
    pub log_probability: f64,
}

impl Prediction {
    /// Returns the prediction of `target` by the logits of the vocabulary.
    fn of(logits: &[f32], target: u32) -> Self {
        Prediction {
            best: argmax(logits).0,
            log_probability: f64::from(logits[target as usize]) - log_sum(logits),
        }
    }
}

/// Consecutive windows of a text. Each runs on its own after the tokens that texts start with, so every token is predicted
/// once. If texts start with no such token, each window runs after the token before it, and the text's first token is not
/// predicted.
#[derive(Clone, Debug)]
pub struct Windows {
    size: usize,
    start: Vec<u32>,
}

impl Windows {
    /// Returns windows of `size` tokens. The default is 511, or less if the model's context is smaller.
    ///
    /// # Errors
    /// Fails if a window does not fit the context.
    pub fn new(model: &Model, tokenizer: &Tokenizer, size: Option<usize>) -> Result<Self> {
        let start = tokenizer.start().to_vec();
        let most = model.config().max_positions.saturating_sub(start.len().max(1));
        let size = size.unwrap_or(WINDOW.min(most));
        if !(1..=most).contains(&size) {
            let remedy = format!("this model allows 1 to {most}");
            return Err(Error::bad_argument("window", format!("{size} is out of range"), remedy));
        }
        Ok(Windows { size, start })
    }

    /// Returns the number of tokens in a window.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Predicts each of `ids`, or all but the first if texts start with no token of their own.
    ///
    /// Calls `progress` with the number of finished tokens.
    ///
    /// # Errors
    /// Fails if there is no token to predict, a token is not in the model's vocabulary, or the model yields no numbers.
    /// Returns [`Error::Cancelled`] soon after `cancel` is cancelled.
    pub fn predict(
        &self,
        model: &Model,
        ids: &[u32],
        cancel: &Cancel,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Prediction>> {
        self.walk(model, ids, cancel, progress, |mut part, targets| {
            model.forward_parts(std::slice::from_mut(&mut part), |i, logits| {
                Prediction::of(logits, targets[i])
            })
        })
    }

    /// Hands every part of every window to `visit`, with the tokens that follow each of its tokens. Returns what `visit` makes
    /// of the tokens.
    fn walk<T>(
        &self,
        model: &Model,
        ids: &[u32],
        cancel: &Cancel,
        mut progress: impl FnMut(usize),
        mut visit: impl FnMut(Part<'_>, &[u32]) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let (mut context, ids) = match &self.start[..] {
            [] => ids.split_at(ids.len().min(1)),
            start => (start, ids),
        };
        if ids.is_empty() {
            let problem = "it has no token that follows another one";
            return Err(Error::bad_argument("the text", problem, "give a longer text"));
        }
        let mut state = model.new_state(self.size + self.start.len().max(1))?;
        state.set_cancel(cancel.clone());
        let mut visited = Vec::with_capacity(ids.len());
        for window in ids.chunks(self.size) {
            let [before @ .., last] = context else { break };
            state.truncate(0);
            if !before.is_empty() {
                model.forward(&mut state, before, Logits::None)?;
            }
            let mut previous = *last;
            for targets in window.chunks(BATCH) {
                let inputs = [&[previous], &targets[..targets.len() - 1]].concat();
                let part = Part { state: &mut state, tokens: &inputs, wanted: inputs.len() };
                visited.append(&mut visit(part, targets)?);
                previous = targets[targets.len() - 1];
                progress(visited.len());
            }
            if self.start.is_empty() {
                context = &window[window.len() - 1..];
            }
        }
        Ok(visited)
    }
}

/// Returns Σ -ln p.
pub fn negative_log_likelihood(predictions: &[Prediction]) -> f64 {
    predictions.iter().map(|prediction| -prediction.log_probability).sum()
}

/// Returns exp(Σ -ln p / tokens).
pub fn perplexity(predictions: &[Prediction]) -> f64 {
    (negative_log_likelihood(predictions) / predictions.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_agree_with_sums_by_hand() {
        let logits = [1000.0, 1000.0 + 3f32.ln()];
        for (target, p) in [(0, 0.25f64), (1, 0.75)] {
            let Prediction { best, log_probability } = Prediction::of(&logits, target);
            assert_eq!(best, 1);
            assert!((log_probability - p.ln()).abs() < 1e-4);
        }
    }

    #[test]
    fn perplexity_is_the_inverse_of_the_mean_probability() {
        let prediction = |p: f64| Prediction { best: 0, log_probability: p.ln() };
        let predictions = [0.5, 0.125].map(prediction);
        assert!((perplexity(&predictions) - 4.0).abs() < 1e-12);
    }
}
