//! Probabilities of chosen tokens and of their alternatives.

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::{Logprob, Session, TokenLogprobs};

use crate::error::{ApiError, Result};
use crate::models::Model;

/// Most alternatives of a token that are reported.
const MOST: usize = 20;

/// Checks a number of alternatives that are reported for each token.
///
/// # Errors
/// Fails with status 400 if there are too many.
pub(crate) fn alternatives(asked: Option<usize>) -> Result<Option<usize>> {
    if asked.is_some_and(|count| count > MOST) {
        let problem = format!("at most {MOST} alternatives are reported");
        return Err(ApiError::field("top_logprobs", &problem));
    }
    Ok(asked)
}

/// A token.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Token {
    id: u32,
    /// Its text. A part of a character is a replacement character.
    token: String,
    bytes: Vec<u8>,
}

/// A token with its probability.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TokenLogprob")]
struct Entry {
    #[serde(flatten)]
    token: Token,
    logprob: f64,
}

/// A chosen token and the likeliest ones in its place.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct TokenEntry {
    #[serde(flatten)]
    chosen: Entry,
    top_logprobs: Vec<Entry>,
}

/// A token with the probability that it was drawn by.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TokenProbability")]
struct Drawn {
    #[serde(flatten)]
    token: Token,
    prob: f64,
}

/// A token that was drawn, and the likeliest ones in its place.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DrawnToken {
    #[serde(flatten)]
    chosen: Drawn,
    top_probs: Vec<Drawn>,
}

impl DrawnToken {
    pub(crate) fn new(model: &Model, token: &TokenLogprobs) -> Self {
        let drawn = |&Logprob { token, logprob }: &Logprob| Drawn {
            token: describe(model, token),
            prob: logprob.exp(),
        };
        DrawnToken { chosen: drawn(&token.chosen), top_probs: token.best.iter().map(drawn).collect() }
    }
}

/// Returns each token's probability with those of its alternatives.
pub(crate) fn entries(model: &Model, tokens: &[TokenLogprobs]) -> Vec<TokenEntry> {
    tokens.iter().map(|token| entry(model, token)).collect()
}

/// Returns a token's probability with those of its alternatives.
pub(crate) fn entry(model: &Model, token: &TokenLogprobs) -> TokenEntry {
    let entry = |&Logprob { token, logprob }: &Logprob| Entry { token: describe(model, token), logprob };
    TokenEntry { chosen: entry(&token.chosen), top_logprobs: token.best.iter().map(entry).collect() }
}

fn describe(model: &Model, id: u32) -> Token {
    let token = text(&model.session, id);
    Token { id, bytes: token.clone().into_bytes(), token }
}

/// Returns the text of a token on its own. A part of a character is a replacement character.
pub(crate) fn text(session: &Session, token: u32) -> String {
    session.tokenizer().decode(&[token], false).unwrap_or_default()
}
