//! `tokenizer.json` as GGUF's metadata.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Source;
use super::losses;
use crate::chat_template::TemplateSource;
use crate::config::GenerationDefaults;
use crate::error::Result;
use crate::gguf::{Kind, kept};
use crate::tokenizer_json::TokenizerJson;
use crate::{GgufHeader, TokenizerSource, json};

const FILE: &str = "tokenizer.json";

/// Adds the source's tokenizer, special tokens, chat template and sampling to `header`. Returns what
/// GGUF's keys for them cannot hold, a line each.
pub(super) fn describe(source: &Source<'_>, header: &mut GgufHeader) -> Result<Vec<String>> {
    let defaults = GenerationDefaults::load(source.files, &source.config)?;
    sampling(&defaults, header);
    for (key, id) in kept::END_KEYS.into_iter().zip(&defaults.eos_token_ids) {
        header.unsigned(key, *id);
    }
    let ends: Vec<i32> = defaults.eos_token_ids.iter().map(|id| id.cast_signed()).collect();
    header.signed_list(kept::ENDS, &ends);
    let Some(bytes) = source.files.try_get(FILE)? else {
        header.text("tokenizer.ggml.model", "none");
        return Ok(Vec::new());
    };
    let label = &source.files.label(FILE);
    let root = Value::Object(json::parse(&bytes, label)?);
    let tokenizer = TokenizerJson::new(label, &root);
    let (tokens, mut kinds) = tokenizer.tokens(source.config.vocab_size)?;
    let merges = tokenizer.merges()?;
    if tokenizer.flag("/model/byte_fallback") {
        tokenizer.mark_fallbacks(&tokens, &mut kinds);
        header.text("tokenizer.ggml.model", "llama");
        header.floats("tokenizer.ggml.scores", &scores(&tokens, &merges));
        header.flag("tokenizer.ggml.add_space_prefix", tokenizer.prefixes_space());
        if let Some(unknown) = kinds.iter().position(|kind| *kind == Kind::Unknown) {
            header.unsigned("tokenizer.ggml.unknown_token_id", unknown as u32);
        }
    } else {
        header.text("tokenizer.ggml.model", "gpt2");
        header.text("tokenizer.ggml.pre", tokenizer.pre()?);
        let merges: Vec<String> = merges.iter().map(|[left, right]| format!("{left} {right}")).collect();
        header.texts("tokenizer.ggml.merges", merges.iter().map(String::as_str));
    }
    header.texts("tokenizer.ggml.tokens", tokens.iter().map(String::as_str));
    let kinds: Vec<i32> = kinds.into_iter().map(|kind| kind as i32).collect();
    header.signed_list("tokenizer.ggml.token_type", &kinds);
    let frame = TokenizerSource::load(source.files)?.frame()?;
    let [first, last] = kept::frame_keys(&frame, defaults.eos_token_ids.first().map(|id| *id as usize));
    header.flag("tokenizer.ggml.add_bos_token", first.is_some());
    header.flag("tokenizer.ggml.add_eos_token", last.is_some());
    if let Some(bos) = first.or(defaults.bos_token_id) {
        header.unsigned("tokenizer.ggml.bos_token_id", bos);
    }
    header.text(kept::TOKENIZER, &root.to_string());
    templates(source, header)?;
    Ok(losses::of_tokenizer(&tokenizer))
}

/// Adds the authors' sampling. A value that they leave open is stated too, because other programs have
/// other defaults.
fn sampling(defaults: &GenerationDefaults, header: &mut GgufHeader) {
    let key = |name: &str| format!("general.sampling.{name}");
    match defaults.do_sample {
        None => {}
        Some(false) => header.float(&key("temp"), 0.0),
        Some(true) => {
            header.unsigned(
                &key("top_k"),
                defaults.top_k.unwrap_or(GenerationDefaults::TOP_K).try_into().unwrap_or(0),
            );
            header.float(&key("top_p"), defaults.top_p.unwrap_or(1.0));
            header.float(&key("min_p"), defaults.min_p.unwrap_or(0.0));
            header.float(&key("temp"), defaults.temperature.unwrap_or(1.0));
        }
    }
    if let Some(penalty) = defaults.repetition_penalty {
        header.float(&key("penalty_repeat"), penalty);
    }
}

/// Adds the chat templates, and the other settings of the tokenizer.
fn templates(source: &Source<'_>, header: &mut GgufHeader) -> Result<()> {
    let read = |file: &str| match source.files.try_get(file)? {
        Some(bytes) => json::parse(&bytes, &source.files.label(file)),
        None => Ok(Map::new()),
    };
    let mut config = read("special_tokens_map.json")?;
    config.extend(read("tokenizer_config.json")?);
    config.remove("chat_template");
    if let Some(TemplateSource { mut texts, .. }) = TemplateSource::find(source.files)? {
        if let Some(text) = texts.remove("default") {
            header.text("tokenizer.chat_template", &text);
        }
        for (name, text) in &texts {
            header.text(&format!("tokenizer.chat_template.{name}"), text);
        }
        if !texts.is_empty() {
            header.texts("tokenizer.chat_templates", texts.keys().map(String::as_str));
        }
    }
    // The original `tokenizer.json` has the pipeline and the tokens that these would add to it.
    config.remove("added_tokens_decoder");
    header.text(kept::TOKENIZER_CONFIG, &Value::Object(config).to_string());
    Ok(())
}

/// Returns scores with which SentencePiece makes the same merges. Later merges have lower scores.
fn scores(tokens: &[String], merges: &[[String; 2]]) -> Vec<f32> {
    let mut ranks = HashMap::new();
    for (rank, [left, right]) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    let score = |token: &String| -(ranks.get(token).copied().unwrap_or(merges.len()) as f32);
    tokens.iter().map(score).collect()
}
