//! The `tokenizer.json` and `tokenizer_config.json` that transformers would have for a GGUF file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::vocabulary::{Kind, Vocabulary};
use super::{GgufFile, merges, pre};
use crate::chat_template;
use crate::error::{Error, Result};

/// The key of the default chat template. Those of the others add a full stop and the template's name.
const TEMPLATE: &str = "tokenizer.chat_template";
/// The key of the names of the other templates.
const TEMPLATES: &str = "tokenizer.chat_templates";
/// The template that llama.cpp reads without looking for its name in the list.
const TOOL_USE: &str = "tool_use";

/// SentencePiece's space.
const SPACE: &str = "▁";

/// Special tokens by transformers' names, with GGUF's names of their roles.
const SPECIAL_TOKENS: [(&str, &str); 7] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
    ("sep_token", "seperator"),
    ("cls_token", "cls"),
    ("mask_token", "mask"),
];

impl GgufFile {
    /// Returns the `tokenizer.json` of this model, or `None` if it has no tokenizer.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Unsupported`] name the metadata's key.
    pub(super) fn tokenizer_json(&self) -> Result<Option<Value>> {
        let Some(vocabulary) = Vocabulary::read(self)? else { return Ok(None) };
        if let Some(original) = self.kept_tokenizer(&vocabulary)? {
            return Ok(Some(original));
        }
        let mut tokenizer = match vocabulary.model {
            "gpt2" => self.byte_level(&vocabulary)?,
            _ => sentence_piece(&vocabulary)?,
        };
        tokenizer["version"] = "1.0".into();
        tokenizer["added_tokens"] = added(&vocabulary).into();
        tokenizer["post_processor"] = framed(&vocabulary)?;
        Ok(Some(tokenizer))
    }

    /// Returns the `tokenizer_config.json` of this model, with its special tokens and chat
    /// template. `None` if the model has no tokenizer.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the metadata's key.
    pub(super) fn tokenizer_config_json(&self) -> Result<Option<Value>> {
        let Some(vocabulary) = Vocabulary::read(self)? else { return Ok(None) };
        let mut config = match self.kept_tokenizer_config(&vocabulary)? {
            Some(original) => original,
            None => special_tokens(&vocabulary)?,
        };
        config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
        let templates = self.chat_templates(&vocabulary)?;
        if !templates.is_empty() {
            config.insert("chat_template".into(), chat_template::to_json(&templates));
        }
        Ok(Some(Value::Object(config)))
    }

    /// Returns the chat templates by their names.
    fn chat_templates(&self, vocabulary: &Vocabulary<'_>) -> Result<BTreeMap<String, String>> {
        let mut templates = BTreeMap::new();
        templates.extend(self.metadata.text(TEMPLATE)?.map(|text| ("default".to_owned(), text.to_owned())));
        let named = self.metadata.texts(TEMPLATES)?.unwrap_or_default();
        for name in named.iter().copied().chain([TOOL_USE]) {
            let key = format!("{TEMPLATE}.{name}");
            match self.metadata.text(&key)? {
                Some(text) => templates.extend([(name.to_owned(), text.to_owned())]),
                None if named.contains(&name) => vocabulary.warn(&format!("{key} is listed, but missing")),
                None => {}
            }
        }
        Ok(templates)
    }

    fn byte_level(&self, vocabulary: &Vocabulary<'_>) -> Result<Value> {
        let name = vocabulary.pre()?;
        let pre = pre::find(name)
            .ok_or_else(|| Error::unsupported(self.label(), "tokenizer.ggml.pre", name, pre::names()))?;
        let ids = ids(vocabulary);
        let merges = merges::listed(vocabulary, &ids)?;
        let normalizer = if pre.normalizes { json!({ "type": "NFC" }) } else { Value::Null };
        let bytes =
            json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true });
        Ok(json!({
            "normalizer": normalizer,
            "pre_tokenizer": pre.json(),
            "decoder": bytes,
            "model": {
                "type": "BPE",
                "ignore_merges": pre.ignores_merges,
                "vocab": ids,
                "merges": merges,
            },
        }))
    }
}

/// Returns the special tokens by transformers' names.
fn special_tokens(vocabulary: &Vocabulary<'_>) -> Result<Map<String, Value>> {
    let mut tokens = Map::new();
    for (name, role) in SPECIAL_TOKENS {
        if let Some(id) = vocabulary.stated(role)? {
            tokens.insert(name.into(), vocabulary.tokens[id].clone().into());
        }
    }
    Ok(tokens)
}

/// Converts a SentencePiece model of type BPE like transformers: pieces merge in the order of their
/// scores.
fn sentence_piece(vocabulary: &Vocabulary<'_>) -> Result<Value> {
    let metadata = vocabulary.metadata();
    let unknown = vocabulary.kinds.iter().position(|kind| *kind == Kind::Unknown);
    let unknown = unknown.or(vocabulary.stated("unknown")?).map(|id| &vocabulary.tokens[id]);
    let prefixed = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let mut normalizers = vec![json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE })];
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefixed {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": SPACE }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(json!({
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE",
            "unk_token": unknown,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": ids(vocabulary),
            "merges": merges::by_score(vocabulary)?,
        },
    }))
}

/// Returns the ids of all tokens. Added tokens must be among them, since `tokenizers` would give
/// them other ids. If tokens have the same text, the first one's id counts.
fn ids(vocabulary: &Vocabulary<'_>) -> Map<String, Value> {
    let mut ids = Map::new();
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        ids.entry(&**token).or_insert_with(|| id.into());
    }
    let count = vocabulary.tokens.len();
    if ids.len() < count {
        let repeated = count - ids.len();
        vocabulary.warn(&format!(
            "{repeated} of {count} tokens repeat the text of an earlier one; they are not used"
        ));
    }
    ids
}

/// Returns the added tokens, which are found in texts before anything else.
fn added(vocabulary: &Vocabulary<'_>) -> Vec<Value> {
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate();
    let added =
        tokens.filter(|(_, (_, kind))| matches!(kind, Kind::Control | Kind::UserDefined | Kind::Unknown));
    let describe = |(id, (token, kind)): (usize, (&Cow<'_, str>, &Kind))| {
        json!({
            "id": id, "content": token, "special": *kind != Kind::UserDefined,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        })
    };
    added.map(describe).collect()
}

/// Returns the post-processor that puts BOS and EOS around every text, if the file asks for them.
fn framed(vocabulary: &Vocabulary<'_>) -> Result<Value> {
    let (bos, eos) = (vocabulary.bos()?, vocabulary.eos()?);
    let special = |id: usize| json!({ "SpecialToken": { "id": vocabulary.tokens[id], "type_id": 0 } });
    let text = |id: &str, kind: u8| json!({ "Sequence": { "id": id, "type_id": kind } });
    let around = |texts: &[Value]| -> Vec<Value> {
        let (before, after) = (bos.map(special), eos.map(special));
        before.into_iter().chain(texts.iter().cloned()).chain(after).collect()
    };
    let described = bos.iter().chain(&eos).map(|&id| {
        let token = &vocabulary.tokens[id];
        (token.clone().into_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }))
    });
    Ok(match (bos, eos) {
        (None, None) => Value::Null,
        _ => json!({
            "type": "TemplateProcessing",
            "single": around(&[text("A", 0)]),
            "pair": around(&[text("A", 0), text("B", 1)]),
            "special_tokens": described.collect::<Map<_, _>>(),
        }),
    })
}
