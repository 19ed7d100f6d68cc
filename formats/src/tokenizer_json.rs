//! The facts of a `tokenizer.json` that GGUF states in keys of its own.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::gguf::Kind;
use crate::recognize_pre;

/// The contents of a `tokenizer.json`.
pub(crate) struct TokenizerJson<'a> {
    label: &'a str,
    root: &'a Value,
}

impl<'a> TokenizerJson<'a> {
    /// Takes the contents. Messages call the file `label`.
    pub(crate) fn new(label: &'a str, root: &'a Value) -> Self {
        TokenizerJson { label, root }
    }

    /// Returns the texts and kinds of the first `count` ids. An id without a token gets a name of
    /// its own.
    pub(crate) fn tokens(&self, count: usize) -> Result<(Vec<String>, Vec<Kind>)> {
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
        for added in self.added() {
            let special = added.get("special").and_then(Value::as_bool).unwrap_or(false);
            let kind = if special { Kind::Control } else { Kind::UserDefined };
            if let (Some(token), Some(id)) = (added.get("content").and_then(Value::as_str), added.get("id")) {
                set(token, id, kind);
            }
        }
        Ok((tokens, kinds))
    }

    /// Returns the pairs that merge, in order of priority.
    pub(crate) fn merges(&self) -> Result<Vec<[String; 2]>> {
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

    pub(crate) fn pre(&self) -> Result<&'static str> {
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
    pub(crate) fn mark_fallbacks(&self, tokens: &[String], kinds: &mut [Kind]) {
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
    pub(crate) fn prefixes_space(&self) -> bool {
        let scheme = self.text("/pre_tokenizer/prepend_scheme");
        let steps = self.root.pointer("/normalizer/normalizers").and_then(Value::as_array);
        let prepends = |step: &Value| step.get("type").and_then(Value::as_str) == Some("Prepend");
        steps.is_some_and(|steps| steps.iter().any(prepends))
            || scheme.is_some_and(|scheme| scheme != "never")
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.root.pointer(pointer).and_then(Value::as_str)
    }

    pub(crate) fn flag(&self, pointer: &str) -> bool {
        self.root.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    fn unsupported(&self, field: &str, found: &str, expected: &str) -> Error {
        Error::unsupported(self.label, field, found, expected)
    }

    /// Returns the steps of the normalizer, other than none.
    pub(crate) fn normalizers(&self) -> Vec<&Value> {
        match (self.root.get("normalizer"), self.root.pointer("/normalizer/normalizers")) {
            (_, Some(Value::Array(steps))) => steps.iter().collect(),
            (Some(Value::Null) | None, _) => Vec::new(),
            (Some(step), _) => vec![step],
        }
    }

    /// Returns the added tokens.
    pub(crate) fn added(&self) -> &[Value] {
        self.root.get("added_tokens").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}
