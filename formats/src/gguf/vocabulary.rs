//! The tokens of a GGUF file: their texts, kinds and roles.

use super::GgufFile;
use super::metadata::Metadata;
use crate::error::{Error, Result};

/// Kinds of tokens, with the `gguf` package's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Normal, Kind::Unknown, Kind::Control, Kind::UserDefined, Kind::Unused, Kind::Byte];
}

/// Control tokens with these texts end an answer, as in llama.cpp, even if the metadata do not
/// state it.
const ENDS: [&str; 5] = ["<|eot_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>"];

/// The vocabulary of a file.
pub(super) struct Vocabulary<'a> {
    metadata: &'a Metadata,
    /// `gpt2` or `llama`.
    pub(super) model: &'a str,
    pub(super) tokens: Vec<&'a str>,
    pub(super) kinds: Vec<Kind>,
}

impl<'a> Vocabulary<'a> {
    /// Reads the vocabulary of `file`, or returns `None` if the file states that it has none.
    pub(super) fn read(file: &'a GgufFile) -> Result<Option<Self>> {
        const MODEL: &str = "tokenizer.ggml.model";
        let metadata = &file.metadata;
        let model = match metadata.text(MODEL)? {
            None | Some("none" | "no_vocab") => return Ok(None),
            Some(model @ ("gpt2" | "llama")) => model,
            Some(other) => {
                let expected = "gpt2 (byte-level BPE) or llama (SentencePiece)";
                return Err(Error::unsupported(&file.label, MODEL, other, expected));
            }
        };
        const TOKENS: &str = "tokenizer.ggml.tokens";
        let tokens = metadata.texts(TOKENS)?.ok_or_else(|| metadata.malformed(TOKENS, "is missing"))?;
        let kinds = kinds(metadata, tokens.len())?;
        Ok(Some(Vocabulary { metadata, model, tokens, kinds }))
    }

    /// Returns the name of the pre-tokenizer.
    pub(super) fn pre(&self) -> Result<&'a str> {
        match self.metadata.text("tokenizer.ggml.pre")? {
            Some(pre) => Ok(pre),
            // Old converters did not know the key, and bitnet.cpp's leaves it out for Llama 3's
            // vocabulary.
            None if self.tokens.contains(&"<|begin_of_text|>") => Ok("llama-bpe"),
            None => Ok("default"),
        }
    }

    /// Returns the token that texts begin with.
    pub(super) fn bos(&self) -> Result<Option<u64>> {
        let by_default =
            self.model == "llama" || super::pre::find(self.pre()?).is_some_and(|pre| pre.adds_bos);
        let adds = self.metadata.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(by_default);
        let bos = self.metadata.unsigned("tokenizer.ggml.bos_token_id")?;
        // 1 is SentencePiece's number, and llama.cpp's default.
        Ok(bos.or((self.model == "llama").then_some(1)).filter(|_| adds))
    }

    /// Returns the tokens that end a text or an answer.
    pub(super) fn ends(&self) -> Result<Vec<u64>> {
        let mut ends = Vec::new();
        for name in ["eos", "eot", "eom"] {
            ends.extend(self.metadata.unsigned(&format!("tokenizer.ggml.{name}_token_id"))?);
        }
        if ends.is_empty() && self.model == "llama" {
            ends.push(2);
        }
        let known = self.tokens.iter().zip(&self.kinds).enumerate();
        let known = known.filter(|(_, (token, kind))| **kind == Kind::Control && ENDS.contains(token));
        ends.extend(known.map(|(id, _)| id as u64));
        let mut seen = std::collections::HashSet::new();
        ends.retain(|id| seen.insert(*id));
        Ok(ends)
    }

    /// Returns the text of the token in `tokenizer.ggml.NAME_token_id`.
    pub(super) fn named(&self, name: &str) -> Result<Option<&'a str>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = self.metadata.unsigned(&key)? else { return Ok(None) };
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
        match token {
            Some(token) => Ok(Some(token)),
            None => Err(self.metadata.malformed(&key, format!("{id} is not a token"))),
        }
    }

    pub(super) fn metadata(&self) -> &'a Metadata {
        self.metadata
    }
}

fn kinds(metadata: &Metadata, tokens: usize) -> Result<Vec<Kind>> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(numbers) = metadata.numbers(KEY)? else { return Ok(vec![Kind::Normal; tokens]) };
    if numbers.len() != tokens {
        return Err(metadata.malformed(KEY, format!("{} types of {tokens} tokens", numbers.len())));
    }
    let kind = |number: f64| Kind::ALL.into_iter().find(|kind| f64::from(*kind as u8) == number);
    numbers
        .into_iter()
        .map(|number| {
            kind(number).ok_or_else(|| metadata.malformed(KEY, format!("{number} is not a type of token")))
        })
        .collect()
}
