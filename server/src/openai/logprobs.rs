//! Probabilities of tokens, in the words of both APIs.

use serde_json::{Map, Value, json};
use tercet_engine::{Logprob, TokenLogprobs};

use crate::models::Model;

/// Returns the `logprobs` of a chat's choice, null without any.
pub(super) fn of_chat(model: &Model, tokens: &[TokenLogprobs]) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let content = tokens.iter().map(|token| {
        let mut entry = describe(model, token.chosen);
        entry["top_logprobs"] = token.best.iter().map(|best| describe(model, *best)).collect();
        entry
    });
    json!({ "content": content.collect::<Vec<Value>>(), "refusal": null })
}

/// Returns the `logprobs` of a completion's choice, null without any.
pub(super) fn of_completion(model: &Model, tokens: &[TokenLogprobs]) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let mut offset = 0;
    let (mut texts, mut offsets) = (Vec::new(), Vec::new());
    for token in tokens {
        let text = text(model, token.chosen);
        offsets.push(offset);
        offset += text.chars().count();
        texts.push(text);
    }
    let best = |token: &TokenLogprobs| -> Map<String, Value> {
        token.best.iter().map(|best| (text(model, *best), json!(best.logprob))).collect()
    };
    json!({
        "tokens": texts,
        "token_logprobs": tokens.iter().map(|token| token.chosen.logprob).collect::<Vec<f64>>(),
        "top_logprobs": tokens.iter().map(best).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

fn describe(model: &Model, Logprob { token, logprob }: Logprob) -> Value {
    let text = text(model, Logprob { token, logprob });
    json!({ "token": text, "bytes": text.as_bytes(), "logprob": logprob })
}

/// Returns the text of a token on its own. A part of a character is a replacement character.
fn text(model: &Model, logprob: Logprob) -> String {
    model.session.tokenizer().decode(&[logprob.token], false).unwrap_or_default()
}
