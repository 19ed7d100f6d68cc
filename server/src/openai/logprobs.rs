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

/// The probabilities of a completion's choice, token by token.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct CompletionLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f64>,
    top_logprobs: Vec<BTreeMap<String, f64>>,
    /// Characters before each token.
    text_offset: Vec<usize>,
}

impl CompletionLogprobs {
    /// Returns the probabilities of `tokens`, or none without any.
    pub(super) fn of(model: &Model, tokens: &[TokenLogprobs]) -> Option<Self> {
        if tokens.is_empty() {
            return None;
        }
        let (mut all, mut offset) = (CompletionLogprobs::default(), 0);
        for token in tokens {
            let chosen = text(&model.session, token.chosen.token);
            all.text_offset.push(offset);
            offset += chosen.chars().count();
            all.tokens.push(chosen);
            all.token_logprobs.push(token.chosen.logprob);
            let best = token.best.iter().map(|best| (text(&model.session, best.token), best.logprob));
            all.top_logprobs.push(best.collect());
        }
        Some(all)
    }
}
