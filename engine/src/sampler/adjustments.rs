//! Changes of logits before a token is chosen: penalties and biases.

use super::SamplerOptions;

/// The adjustments of one sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct Adjustments {
    /// Tokens of the prompt, once the first token is chosen.
    prompt: Option<usize>,
    /// The times that each token occurs, while they are counted; else zeros.
    counts: Vec<u32>,
    /// Tokens with adjusted logits.
    tokens: Vec<u32>,
}

impl Adjustments {
    /// Returns every token whose logit [`Adjustments::apply`] may change after `history`.
    pub(super) fn tokens<'a>(&'a mut self, options: &SamplerOptions, history: &'a [u32]) -> &'a [u32] {
        let SamplerOptions { presence_penalty, frequency_penalty, ref logit_bias, .. } = *options;
        let penalised = match options.repetition_penalty != 1.0 {
            true => history,
            false if presence_penalty == 0.0 && frequency_penalty == 0.0 => &[],
            false => self.generated(history),
        };
        if logit_bias.is_empty() {
            return penalised;
        }
        self.tokens.clear();
        self.tokens.extend(logit_bias.iter().map(|(token, _)| token).chain(penalised));
        &self.tokens
    }

    /// Takes note of the prompt, which the first `history` is.
    pub(super) fn begin(&mut self, history: &[u32]) {
        self.prompt.get_or_insert(history.len());
    }

    /// Adjusts the logits of the token that follows `history`. Tokens outside the vocabulary are ignored.
    pub(super) fn apply(&mut self, options: &SamplerOptions, logits: &mut [f32], history: &[u32]) {
        self.begin(history);
        let window = match options.repetition_window {
            0 => history.len(),
            window => window.min(history.len()),
        };
        if options.repetition_penalty != 1.0 {
            let recent = &history[history.len() - window..];
            self.count(logits, recent, |logit, _| repeat(logit, options.repetition_penalty));
        }
        let (presence, frequency) = (options.presence_penalty, options.frequency_penalty);
        if presence != 0.0 || frequency != 0.0 {
            let generated = self.generated(history);
            self.count(logits, generated, |logit, times| logit - presence - frequency * times as f32);
        }
        for &(token, bias) in &options.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
    }

    /// Returns the part of `history` that was generated.
    fn generated<'h>(&self, history: &'h [u32]) -> &'h [u32] {
        &history[self.prompt.unwrap_or(history.len()).min(history.len())..]
    }

    /// Changes the logit of each distinct token of `tokens`, by the times that it occurs.
    fn count(&mut self, logits: &mut [f32], tokens: &[u32], change: impl Fn(f32, u32) -> f32) {
        self.counts.resize(logits.len(), 0);
        for &token in tokens {
            if let Some(count) = self.counts.get_mut(token as usize) {
                *count += 1;
            }
        }
        for &token in tokens {
            let Some(count) = self.counts.get_mut(token as usize) else { continue };
            let times = std::mem::take(count);
            if times > 0 {
                let logit = &mut logits[token as usize];
                *logit = change(*logit, times);
            }
        }
    }
}

/// Keskar et al., "CTRL", 2019, as transformers applies it: once for each token, however often it occurred.
fn repeat(logit: f32, penalty: f32) -> f32 {
    if logit < 0.0 { logit * penalty } else { logit / penalty }
}
