//! The `tokenizer.json` and `tokenizer_config.json` that transformers would have for a GGUF file.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::vocabulary::{Kind, Vocabulary};
use super::{GgufFile, pre};
use crate::error::{Error, Result};

/// SentencePiece's space.
const SPACE: &str = "▁";

impl GgufFile {
    /// Returns the `tokenizer.json` of this model, or `None` if it has no tokenizer.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Unsupported`] name the metadata's key.
    pub(super) fn tokenizer_json(&self) -> Result<Option<Value>> {
        let Some(vocabulary) = Vocabulary::read(self)? else { return Ok(None) };
        let mut tokenizer = match vocabulary.model {
            "gpt2" => self.byte_level(&vocabulary)?,
            _ => sentence_piece(&vocabulary)?,
        };
        tokenizer["version"] = "1.0".into();
        tokenizer["added_tokens"] = added(&vocabulary).into();
        if let Some(bos) = vocabulary.bos()?
            && let Some(token) = usize::try_from(bos).ok().and_then(|id| vocabulary.tokens.get(id))
        {
            tokenizer["post_processor"] = starting_with(token, bos);
        }
        Ok(Some(tokenizer))
    }

    /// Returns the `tokenizer_config.json` of this model, with its special tokens and chat
    /// template. `None` if the model has no tokenizer.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the metadata's key.
    pub(super) fn tokenizer_config_json(&self) -> Result<Option<Value>> {
        let Some(vocabulary) = Vocabulary::read(self)? else { return Ok(None) };
        let mut config = Map::new();
        config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
        for (name, key) in
            [("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding")]
        {
            if let Some(token) = vocabulary.named(key)? {
                config.insert(name.into(), token.into());
            }
        }
        if let Some(template) = self.metadata.text("tokenizer.chat_template")? {
            config.insert("chat_template".into(), template.into());
        }
        Ok(Some(Value::Object(config)))
    }

    fn byte_level(&self, vocabulary: &Vocabulary<'_>) -> Result<Value> {
        const MERGES: &str = "tokenizer.ggml.merges";
        let metadata = vocabulary.metadata();
        let name = vocabulary.pre()?;
        let pre = pre::find(name)
            .ok_or_else(|| Error::unsupported(&self.label, "tokenizer.ggml.pre", name, pre::names()))?;
        let merges = metadata.texts(MERGES)?.unwrap_or_default().into_iter().map(|merge| {
            let pair = merge.split_once(' ');
            pair.map(|(a, b)| json!([a, b]))
                .ok_or_else(|| metadata.malformed(MERGES, format!("{merge:?} is not a pair")))
        });
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
                "vocab": ids(vocabulary),
                "merges": merges.collect::<Result<Vec<_>>>()?,
            },
        }))
    }
}

/// Converts a SentencePiece model of type BPE like transformers: pieces merge in the order of their
/// scores.
fn sentence_piece(vocabulary: &Vocabulary<'_>) -> Result<Value> {
    let metadata = vocabulary.metadata();
    let unknown = vocabulary.kinds.iter().position(|kind| *kind == Kind::Unknown);
    let unknown = unknown.map(|id| vocabulary.tokens[id]);
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
            "merges": merges_by_score(vocabulary)?,
        },
    }))
}

/// Returns every pair of pieces that forms a piece, best score first. Among equal scores, pairs
/// with a longer first part come first, then pairs with a longer second part.
fn merges_by_score<'a>(vocabulary: &Vocabulary<'a>) -> Result<Vec<[&'a str; 2]>> {
    const SCORES: &str = "tokenizer.ggml.scores";
    /// Bounds the work that a hostile file can cause. SentencePiece's pieces have up to 16
    /// characters.
    const LONGEST: usize = 512;
    let metadata = vocabulary.metadata();
    let scores = metadata.numbers(SCORES)?.ok_or_else(|| metadata.malformed(SCORES, "is missing"))?;
    if scores.len() != vocabulary.tokens.len() {
        let problem = format!("{} scores of {} tokens", scores.len(), vocabulary.tokens.len());
        return Err(metadata.malformed(SCORES, problem));
    }
    let pieces: Vec<(&str, f64)> = (vocabulary.tokens.iter().copied().zip(scores))
        .zip(&vocabulary.kinds)
        .filter(|((piece, _), kind)| {
            matches!(kind, Kind::Normal | Kind::UserDefined) && piece.len() <= LONGEST
        })
        .map(|(piece, _)| piece)
        .collect();
    let ranks: HashMap<&str, usize> =
        pieces.iter().enumerate().map(|(rank, (piece, _))| (*piece, rank)).collect();
    let mut merges = Vec::new();
    for (piece, score) in pieces {
        let first = merges.len();
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if let (Some(a), Some(b)) = (ranks.get(left), ranks.get(right)) {
                merges.push((score, [left, right], (*a, *b)));
            }
        }
        merges[first..].sort_by_key(|(_, _, ranks)| *ranks);
    }
    let characters = |part: &str| part.chars().count();
    merges.sort_by(|(score, [left, right], _), (other_score, [other_left, other_right], _)| {
        let by_score = other_score.total_cmp(score);
        by_score
            .then_with(|| characters(other_left).cmp(&characters(left)))
            .then_with(|| characters(other_right).cmp(&characters(right)))
    });
    Ok(merges.into_iter().map(|(_, pair, _)| pair).collect())
}

/// Returns the ids of all tokens. Added tokens must be among them, since `tokenizers` would give
/// them other ids. If two tokens have the same text, the first one's id counts.
fn ids(vocabulary: &Vocabulary<'_>) -> Map<String, Value> {
    let mut ids = Map::new();
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        ids.entry(*token).or_insert_with(|| id.into());
    }
    ids
}

/// Returns the added tokens, which are found in texts before anything else.
fn added(vocabulary: &Vocabulary<'_>) -> Vec<Value> {
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate();
    let added =
        tokens.filter(|(_, (_, kind))| matches!(kind, Kind::Control | Kind::UserDefined | Kind::Unknown));
    let describe = |(id, (token, kind)): (usize, (&&str, &Kind))| {
        json!({
            "id": id, "content": token, "special": *kind != Kind::UserDefined,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        })
    };
    added.map(describe).collect()
}

/// Returns the post-processor that begins every text with `token`.
fn starting_with(token: &str, id: u64) -> Value {
    let special = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = |id: &str, kind: u8| json!({ "Sequence": { "id": id, "type_id": kind } });
    json!({
        "type": "TemplateProcessing",
        "single": [special, text("A", 0)],
        "pair": [special, text("A", 0), text("B", 1)],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    })
}
