//! Probabilities of chosen tokens and of their alternatives.

use serde_json::{Value, json};
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

/// Returns each token's probability with those of its alternatives.
pub(crate) fn entries(model: &Model, tokens: &[TokenLogprobs]) -> Vec<Value> {
    let entry = |token: &TokenLogprobs| {
        let mut entry = describe(model, token.chosen);
        entry["top_logprobs"] = token.best.iter().map(|best| describe(model, *best)).collect();
        entry
    };
    tokens.iter().map(entry).collect()
}

fn describe(model: &Model, Logprob { token, logprob }: Logprob) -> Value {
    let text = text(&model.session, token);
    json!({ "id": token, "token": text, "bytes": text.as_bytes(), "logprob": logprob })
}

/// Returns the text of a token on its own. A part of a character is a replacement character.
pub(crate) fn text(session: &Session, token: u32) -> String {
    session.tokenizer().decode(&[token], false).unwrap_or_default()
}
