//! What programs that read only GGUF's usual keys, such as llama.cpp, do not learn about a model.

use serde_json::Value;

use crate::config::family::{Dialect, GgufName};
use crate::config::{Activation, Config};
use crate::tokenizer_json::TokenizerJson;

/// Returns what the program of `name` computes otherwise, or does not run.
pub(super) fn of_architecture(config: &Config, name: &GgufName) -> Option<String> {
    if config.linear_norm_eps.is_some() {
        return Some("llama.cpp does not run norms before ternary layers; bitnet.cpp does".to_owned());
    }
    let is_known = config.activation != Activation::Relu2 || name.dialect == Dialect::BitnetCpp;
    (!is_known).then(|| {
        "llama.cpp gives another text: it runs bitnet models with SiLU, and this one has relu2".to_owned()
    })
}

/// Returns the settings of a tokenizer for which GGUF has no key, a line each.
pub(super) fn of_tokenizer(tokenizer: &TokenizerJson<'_>) -> Vec<String> {
    let mut settings: Vec<String> = tokenizer.added().iter().filter_map(of_added_token).collect();
    if tokenizer.text("/pre_tokenizer/prepend_scheme") == Some("first") {
        settings.push("the prepend_scheme \"first\"".to_owned());
    }
    let normalizers = tokenizer.normalizers().into_iter().filter_map(|step| step.get("type")?.as_str());
    // These three have keys, or belong to a pre-tokenizer that has a name.
    let unknown = normalizers.filter(|kind| !matches!(*kind, "Prepend" | "Replace" | "NFC"));
    settings.extend(unknown.map(|kind| format!("the normalizer {kind}")));
    settings.into_iter().map(|setting| format!("GGUF has no key for {setting} in tokenizer.json")).collect()
}

fn of_added_token(token: &Value) -> Option<String> {
    let is_set = |field: &&str| token.get(field).and_then(Value::as_bool) == Some(true);
    let set: Vec<&str> = ["lstrip", "rstrip", "single_word"].into_iter().filter(is_set).collect();
    let name = token.get("content").and_then(Value::as_str).unwrap_or_default();
    (!set.is_empty()).then(|| format!("{} of the token {name}", set.join(" and ")))
}
