//! Probabilities of tokens, in the words of chats and of completions.

use serde_json::{Map, Value, json};
use tercet_engine::TokenLogprobs;

use crate::logprobs::{entries, text};
use crate::models::Model;

/// Returns the `logprobs` of a chat's choice, null without any.
pub(super) fn of_chat(model: &Model, tokens: &[TokenLogprobs]) -> Value {
    match tokens {
        [] => Value::Null,
        _ => json!({ "content": entries(model, tokens), "refusal": null }),
    }
}

/// Returns the `logprobs` of a completion's choice, null without any.
pub(super) fn of_completion(model: &Model, tokens: &[TokenLogprobs]) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let mut offset = 0;
    let (mut texts, mut offsets) = (Vec::new(), Vec::new());
    for token in tokens {
        let text = text(&model.session, token.chosen.token);
        offsets.push(offset);
        offset += text.chars().count();
        texts.push(text);
    }
    let best = |token: &TokenLogprobs| -> Map<String, Value> {
        token.best.iter().map(|best| (text(&model.session, best.token), json!(best.logprob))).collect()
    };
    json!({
        "tokens": texts,
        "token_logprobs": tokens.iter().map(|token| token.chosen.logprob).collect::<Vec<f64>>(),
        "top_logprobs": tokens.iter().map(best).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}
