//! The most text that a token stands for.

use serde_json::Value;

use super::{Outline, steps};

/// Bytes of a text that become one byte by NFC at most: Hangul, whose three letters of three bytes become one.
const COMPOSED: usize = 3;

/// Returns the most bytes of a text that become one token. None if there is no limit: a step drops text, or unknown
/// characters become one token however many they are.
pub(super) fn longest(outline: &Outline) -> Option<usize> {
    let Outline { added_tokens, normalizer, pre_tokenizer, model, .. } = outline;
    let model = model.as_ref().filter(|model| model.r#type.as_deref() == Some("BPE"))?;
    let all = |part| steps::steps("", part).ok();
    let (normalizers, cuts) = (all(normalizer)?, all(pre_tokenizer)?);
    let knows_all = model.byte_fallback || normalizers.iter().chain(&cuts).any(|step| is(step, "ByteLevel"));
    // They take all white space beside them.
    let swallow = added_tokens.iter().any(|token| token.lstrip || token.rstrip);
    if !knows_all
        || swallow
        || !normalizers.iter().all(|step| keeps(step))
        || !cuts.iter().all(|step| cuts_only(step))
    {
        return None;
    }
    let longest = added_tokens.iter().map(|token| token.content.len()).max().unwrap_or(0);
    let longest = longest.max(model.vocab.as_ref()?.longest).max(1);
    let composes = normalizers.iter().any(|step| is(step, "NFC"));
    Some(longest * if composes { COMPOSED } else { 1 })
}

fn is(step: &Value, name: &str) -> bool {
    steps::name(step) == name
}

/// Returns true if a normalizer leaves a text as long as it is, but for composition.
fn keeps(step: &Value) -> bool {
    let length = |field: &str| step.pointer(field).and_then(Value::as_str).map(str::len);
    match steps::name(step) {
        "NFC" | "NFD" | "Prepend" | "ByteLevel" => true,
        "Replace" => length("/content") >= length("/pattern/String") && length("/pattern/String").is_some(),
        _ => false,
    }
}

/// Returns true if a pre-tokenizer drops no text.
fn cuts_only(step: &Value) -> bool {
    let drops = step.get("behavior").is_some_and(|behavior| behavior == "Removed");
    ["ByteLevel", "Digits", "Metaspace", "Punctuation", "Split"].contains(&steps::name(step)) && !drops
}
