//! What a GGUF file keeps of a Hugging Face repository, beyond what llama.cpp reads for its tokenizer.
//!
//! The other keys stay the authority: an original counts only while it agrees with them.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::GgufFile;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};
use crate::tokenizer::Frame;
use crate::tokenizer_json::TokenizerJson;

/// The whole `tokenizer.json`, a key that GGUF's specification knows.
pub(crate) const TOKENIZER: &str = "tokenizer.huggingface.json";
/// The whole `tokenizer_config.json`, except the chat template.
pub(crate) const TOKENIZER_CONFIG: &str = "tercet.tokenizer_config.json";
/// All tokens that end a text. GGUF has keys for three.
pub(crate) const ENDS: &str = "tercet.eos_token_ids";

/// GGUF's names of three end tokens: of a text, of an answer, and of a message that continues
/// elsewhere.
pub(crate) const END_KEYS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/// Returns the tokens of `frame` that GGUF's keys can put around every text: before it any, after it only `eos`.
pub(crate) fn frame_keys(frame: &Frame, eos: Option<usize>) -> [Option<u32>; 2] {
    let last = frame.after.first().copied();
    [frame.before.first().copied(), last.filter(|last| Some(*last as usize) == eos)]
}

/// The state of a file's originals.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    is_ignored: bool,
    /// Whether the original tokenizer agrees with the file, once it is known.
    agrees: OnceLock<bool>,
}

impl Kept {
    /// Returns the state of a file that is read as programs that know no originals do.
    pub(super) fn ignored() -> Self {
        Kept { is_ignored: true, ..Kept::default() }
    }
}

impl GgufFile {
    /// Returns the original `tokenizer.json`, if it agrees with the file.
    pub(super) fn kept_tokenizer(&self, vocabulary: &Vocabulary<'_>) -> Result<Option<Value>> {
        if self.kept.agrees.get() == Some(&false) {
            return Ok(None);
        }
        let original = self.kept_json(TOKENIZER)?;
        let agrees = match &original {
            Some(original) => self.agrees(original, vocabulary)?,
            None => false,
        };
        let _ = self.kept.agrees.set(agrees);
        Ok(original.filter(|_| agrees))
    }

    /// Returns true if the tokenizer that was read is the original one.
    pub(crate) fn has_original_tokenizer(&self) -> bool {
        self.kept.agrees.get() == Some(&true)
    }

    /// Returns the fields of the original `tokenizer_config.json`, if the original tokenizer counts.
    pub(super) fn kept_tokenizer_config(
        &self,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Option<Map<String, Value>>> {
        let counts = match self.kept.agrees.get() {
            Some(agrees) => *agrees,
            None => self.kept_tokenizer(vocabulary)?.is_some(),
        };
        Ok(match self.kept_json(TOKENIZER_CONFIG)? {
            Some(Value::Object(fields)) if counts => Some(fields),
            _ => None,
        })
    }

    /// Returns true if the tokens, and the ones that every text gets, are those of the file.
    fn agrees(&self, original: &Value, vocabulary: &Vocabulary<'_>) -> Result<bool> {
        let tokens = TokenizerJson::new(TOKENIZER, original).tokens(vocabulary.tokens.len());
        if !tokens.is_ok_and(|(tokens, _)| tokens == vocabulary.tokens) {
            return Ok(false);
        }
        let Some(frame) = Frame::of(&original["post_processor"]) else { return Ok(false) };
        let of_file = [vocabulary.bos()?, vocabulary.eos()?];
        Ok(of_file == frame_keys(&frame, vocabulary.stated("eos")?).map(|id| id.map(|id| id as usize)))
    }

    /// Returns all end tokens, if the first ones are those of GGUF's own keys.
    pub(super) fn kept_ends(&self) -> Result<Option<Vec<usize>>> {
        let ends = (!self.kept.is_ignored).then(|| self.metadata.numbers(ENDS)).transpose()?.flatten();
        let Some(ends) = ends else { return Ok(None) };
        let ends: Vec<usize> = ends.into_iter().map(|id| id as usize).collect();
        for (at, key) in END_KEYS.into_iter().enumerate() {
            if self.metadata.unsigned(key)? != ends.get(at).map(|id| *id as u64) {
                return Ok(None);
            }
        }
        Ok(Some(ends))
    }

    /// Returns the `generation_config.json` that states the file's sampling, or `None` without one.
    pub(super) fn generation_config_json(&self) -> Result<Option<Value>> {
        let mut fields = Map::new();
        for (field, key) in [
            ("temperature", "temp"),
            ("top_k", "top_k"),
            ("top_p", "top_p"),
            ("min_p", "min_p"),
            ("repetition_penalty", "penalty_repeat"),
        ] {
            if let Some(number) = self.metadata.float(&format!("general.sampling.{key}"))? {
                fields.insert(field.into(), json!(number as f32));
            }
        }
        if fields.keys().any(|field| field != "repetition_penalty") {
            let greedy = fields.get("temperature").and_then(Value::as_f64) == Some(0.0);
            fields.insert("do_sample".into(), (!greedy).into());
        }
        Ok((!fields.is_empty()).then_some(Value::Object(fields)))
    }

    fn kept_json(&self, key: &str) -> Result<Option<Value>> {
        let text = (!self.kept.is_ignored).then(|| self.metadata.text(key)).transpose()?.flatten();
        let malformed = |e: serde_json::Error| {
            Error::malformed(self.label(), key, e.to_string(), "convert the model again")
        };
        text.map(|text| serde_json::from_str(text).map_err(malformed)).transpose()
    }
}
