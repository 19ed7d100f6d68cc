//! Probabilities of tokens, in the words of chats and of completions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::TokenLogprobs;

use crate::logprobs::{TokenEntry, entries, text};
use crate::models::Model;

/// The probabilities of a chat's choice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ChatLogprobs {
    content: Vec<TokenEntry>,
    /// Always null.
    refusal: Option<Vec<TokenEntry>>,
}

impl ChatLogprobs {
    /// Returns the probabilities of `tokens`, or none without any.
    pub(super) fn of(model: &Model, tokens: &[TokenLogprobs]) -> Option<Self> {
        (!tokens.is_empty()).then(|| ChatLogprobs { content: entries(model, tokens), refusal: None })
    }
}

/// The probabilities of a completion's choice, token by token. The first token of a prompt has none: nothing predicts it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct CompletionLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f64>>,
    top_logprobs: Vec<Option<BTreeMap<String, f64>>>,
    /// Characters before each token.
    text_offset: Vec<usize>,
}

impl CompletionLogprobs {
    /// Returns the probabilities of `tokens`, or none without any.
    pub(super) fn of(model: &Model, tokens: &[TokenLogprobs]) -> Option<Self> {
        let mut all = CompletionLogprobs::default();
        all.extend(model, tokens);
        (!tokens.is_empty()).then_some(all)
    }

    /// Returns the probabilities of a prompt: its `first` token, and the others.
    pub(super) fn of_prompt(model: &Model, first: u32, others: &[TokenLogprobs]) -> Self {
        let mut all = CompletionLogprobs::default();
        all.push(text(&model.session, first), None, None);
        all.extend(model, others);
        all
    }

    /// Appends the probabilities of `tokens`.
    pub(super) fn extend(&mut self, model: &Model, tokens: &[TokenLogprobs]) {
        for token in tokens {
            let best = token.best.iter().map(|best| (text(&model.session, best.token), best.logprob));
            let chosen = text(&model.session, token.chosen.token);
            self.push(chosen, Some(token.chosen.logprob), Some(best.collect()));
        }
    }

    fn push(&mut self, token: String, logprob: Option<f64>, best: Option<BTreeMap<String, f64>>) {
        let before = |(offset, token): (&usize, &String)| offset + token.chars().count();
        self.text_offset.push(self.text_offset.last().zip(self.tokens.last()).map_or(0, before));
        self.tokens.push(token);
        self.token_logprobs.push(logprob);
        self.top_logprobs.push(best);
    }
}
