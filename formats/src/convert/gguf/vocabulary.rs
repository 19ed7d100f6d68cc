//! `tokenizer.json` as GGUF's metadata.

use std::collections::HashMap;

use serde_json::Value;

use super::Source;
use crate::chat_template::TemplateSource;
use crate::config::{Config, GenerationDefaults};
use crate::error::{Error, Result};
use crate::gguf::Kind;
use crate::{GgufHeader, json, recognize_pre};

const FILE: &str = "tokenizer.json";

/// Adds the source's tokenizer, special tokens and chat template to `header`.
pub(super) fn describe(source: &Source<'_>, header: &mut GgufHeader) -> Result<()> {
    let config = &source.config;
    let Some(bytes) = source.files.try_get(FILE)? else {
        header.text("tokenizer.ggml.model", "none");
        return Ok(());
    };
    let label = source.files.label(FILE);
    let tokenizer = TokenizerJson { label: &label, root: Value::Object(json::parse(&bytes, &label)?) };
    let (tokens, mut kinds) = tokenizer.tokens(config.vocab_size)?;
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
    special_tokens(source, config, header)
}

fn special_tokens(source: &Source<'_>, config: &Config, header: &mut GgufHeader) -> Result<()> {
    let defaults = GenerationDefaults::load(source.files, config)?;
    header.flag("tokenizer.ggml.add_bos_token", defaults.bos_token_id.is_some());
    if let Some(bos) = defaults.bos_token_id {
        header.unsigned("tokenizer.ggml.bos_token_id", bos);
    }
    // The first token ends a text. The others end an answer, or a message that continues elsewhere.
    for (name, id) in ["eos", "eot", "eom"].into_iter().zip(&defaults.eos_token_ids) {
        header.unsigned(&format!("tokenizer.ggml.{name}_token_id"), *id);
    }
    if let Some(template) = TemplateSource::find(source.files)? {
        header.text("tokenizer.chat_template", &template.text);
    }
    Ok(())
}

struct TokenizerJson<'a> {
    label: &'a str,
    root: Value,
}

impl TokenizerJson<'_> {
    /// Returns the texts and kinds of the first `count` ids. An id without a token gets a name of
    /// its own.
    fn tokens(&self, count: usize) -> Result<(Vec<String>, Vec<Kind>)> {
        let mut tokens: Vec<String> = (0..count).map(|id| format!("[PAD{id}]")).collect();
        let mut kinds = vec![Kind::Unused; count];
        let mut set = |token: &str, id: &Value, kind| {
            let id = id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|id| *id < count);
            if let Some(id) = id {
                (tokens[id], kinds[id]) = (token.to_owned(), kind);
            }
        };
        let Some(Value::Object(vocabulary)) = self.root.pointer("/model/vocab") else {
            return Err(self.unsupported("model.vocab", "no map of tokens to ids", "a BPE tokenizer"));
        };
        vocabulary.iter().for_each(|(token, id)| set(token, id, Kind::Normal));
        for added in self.root.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
            let special = added.get("special").and_then(Value::as_bool).unwrap_or(false);
            let kind = if special { Kind::Control } else { Kind::UserDefined };
            if let (Some(token), Some(id)) = (added.get("content").and_then(Value::as_str), added.get("id")) {
                set(token, id, kind);
            }
        }
        Ok((tokens, kinds))
    }

    /// Returns the pairs that merge, in order of priority.
    fn merges(&self) -> Result<Vec<[String; 2]>> {
        let merges = self.root.pointer("/model/merges").and_then(Value::as_array);
        let Some(merges) = merges.filter(|_| self.text("/model/type") == Some("BPE")) else {
            let found = format!("{:?}", self.text("/model/type").unwrap_or_default());
            return Err(self.unsupported("model.type", &found, "BPE"));
        };
        let pair = |merge: &Value| match merge {
            Value::String(text) => {
                text.split_once(' ').map(|(left, right)| [left.to_owned(), right.to_owned()])
            }
            Value::Array(pair) => match &pair[..] {
                [Value::String(left), Value::String(right)] => Some([left.clone(), right.clone()]),
                _ => None,
            },
            _ => None,
        };
        let pairs: Option<Vec<_>> = merges.iter().map(pair).collect();
        pairs.ok_or_else(|| self.unsupported("model.merges", "no list of pairs", "pairs of tokens"))
    }

    fn pre(&self) -> Result<&'static str> {
        let pre_tokenizer = self.root.get("pre_tokenizer").unwrap_or(&Value::Null);
        recognize_pre(pre_tokenizer).ok_or_else(|| {
            self.unsupported(
                "pre_tokenizer",
                "not one that GGUF has a name for",
                "the one of Llama 3, Qwen 2 or GPT-2",
            )
        })
    }

    /// Marks byte tokens and the unknown token.
    fn mark_fallbacks(&self, tokens: &[String], kinds: &mut [Kind]) {
        let unknown = self.text("/model/unk_token");
        for (token, kind) in tokens.iter().zip(kinds) {
            let hex = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            if hex.is_some_and(|hex| hex.len() == 2 && u8::from_str_radix(hex, 16).is_ok()) {
                *kind = Kind::Byte;
            } else if Some(token.as_str()) == unknown {
                *kind = Kind::Unknown;
            }
        }
    }

    /// Returns true if texts get a leading space, from a normalizer or, in newer files, from a
    /// pre-tokenizer.
    fn prefixes_space(&self) -> bool {
        let scheme = self.text("/pre_tokenizer/prepend_scheme");
        let steps = self.root.pointer("/normalizer/normalizers").and_then(Value::as_array);
        let prepends = |step: &Value| step.get("type").and_then(Value::as_str) == Some("Prepend");
        steps.is_some_and(|steps| steps.iter().any(prepends))
            || scheme.is_some_and(|scheme| scheme != "never")
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.root.pointer(pointer).and_then(Value::as_str)
    }

    fn flag(&self, pointer: &str) -> bool {
        self.root.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    fn unsupported(&self, field: &str, found: &str, expected: &str) -> Error {
        Error::unsupported(self.label, field, found, expected)
    }
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
