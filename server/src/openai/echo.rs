//! Prompts that stand before their completions.

use std::sync::Arc;

use tercet_engine::prediction::{Continued, continuation_logprobs};
use tercet_engine::{Cancel, Generation, TokenLogprobs};

use super::logprobs::CompletionLogprobs;
use crate::error::Result;
use crate::logprobs::alternatives;
use crate::models::Model;

/// A prompt that is said before its completion.
pub(super) struct Echo {
    /// Its text without special tokens.
    pub(super) text: String,
    /// The probabilities of its tokens, if the client wants them.
    pub(super) logprobs: Option<CompletionLogprobs>,
}

impl Echo {
    /// Returns the echo of each prompt; `logprobs` are the alternatives of a token that are reported.
    ///
    /// # Errors
    /// Fails with status 400 if `logprobs` is out of range, or a token is not of the model.
    pub(super) async fn of_all(
        model: &Arc<Model>,
        prompts: &[Vec<u32>],
        logprobs: Option<usize>,
    ) -> Result<Vec<Self>> {
        let (prompts, logprobs) = (prompts.to_vec(), alternatives(logprobs)?);
        let work = move |model: &Model, cancel: &Cancel| {
            let scores = logprobs.map(|count| scores(model, &prompts, count, cancel)).transpose()?;
            let mut scores = scores.into_iter().flatten();
            let echo = |prompt: &Vec<u32>| -> Result<Self> {
                let scored = scores.next().and_then(|rest| Some((*prompt.first()?, rest)));
                let logprobs = scored.map(|(first, rest)| CompletionLogprobs::of_prompt(model, first, &rest));
                Ok(Echo { text: model.session.tokenizer().decode(prompt, true)?, logprobs })
            };
            prompts.iter().map(echo).collect()
        };
        model.in_turn(work).await
    }

    /// Returns the text and probabilities of the prompt and its completion.
    pub(super) fn before(
        &self,
        model: &Model,
        generation: &Generation,
    ) -> (String, Option<CompletionLogprobs>) {
        let logprobs = self.logprobs.clone().map(|mut logprobs| {
            logprobs.extend(model, &generation.logprobs);
            logprobs
        });
        (format!("{}{}", self.text, generation.text), logprobs)
    }
}

/// Returns the probabilities of each prompt's tokens. Nothing predicts the first one.
fn scores(
    model: &Model,
    prompts: &[Vec<u32>],
    count: usize,
    cancel: &Cancel,
) -> Result<Vec<Vec<TokenLogprobs>>> {
    let split = |prompt: &Vec<u32>| {
        let (first, rest) = prompt.split_at(prompt.len().min(1));
        Continued { prompt: first.to_vec(), continuation: rest.to_vec() }
    };
    let texts: Vec<Continued> = prompts.iter().map(split).collect();
    Ok(continuation_logprobs(model.session.model(), &texts, count, cancel)?)
}
