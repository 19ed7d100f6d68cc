//! Text to token ids and back.

mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use crate::error::{Error, Result};
use tercet_formats::ModelFiles;

pub use stream::StreamDecoder;

const FILE: &str = "tokenizer.json";
const REPAIR: &str = "download the file again, together with the model's config.json";

/// A model's tokenizer, as its `tokenizer.json` describes it. Clones share it.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    label: String,
    vocab_size: usize,
    bos: Option<u32>,
    specials: Arc<HashSet<u32>>,
}

/// What must be sound JSON before `tokenizers` reads it: it panics on a decoder that is not.
#[derive(Deserialize)]
struct Outline {
    #[serde(rename = "decoder")]
    _decoder: Option<serde_json::Value>,
}

impl Tokenizer {
    /// Reads the tokenizer of a model whose embedding has `vocab_size` rows and whose sequences start with `bos`.
    ///
    /// # Errors
    /// Those of [`ModelFiles::get`] and [`Tokenizer::parse`].
    pub fn load(files: &ModelFiles, vocab_size: usize, bos: Option<u32>) -> Result<Self> {
        Self::parse(&files.get(FILE)?, &files.label(FILE), vocab_size, bos)
    }

    /// Reads the `tokenizer.json` in `bytes`, which messages call `label`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it describes no tokenizer.
    pub fn parse(bytes: &[u8], label: &str, vocab_size: usize, bos: Option<u32>) -> Result<Self> {
        serde_json::from_slice::<Outline>(bytes)
            .map_err(|e| Error::malformed(label, "JSON", e.to_string(), REPAIR))?;
        let malformed = |e: tokenizers::Error| Error::malformed(label, "tokenizer", e.to_string(), REPAIR);
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(malformed)?;
        // Both are for training in batches and would alter what is fed to the model.
        inner.with_truncation(None).map_err(malformed)?.with_padding(None);
        let added = inner.get_added_tokens_decoder();
        let specials = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id).collect();
        Ok(Tokenizer {
            inner: Arc::new(inner),
            label: label.to_owned(),
            vocab_size,
            bos,
            specials: Arc::new(specials),
        })
    }

    /// The tokens of `text`; special tokens spelled out in it become those tokens. With `add_bos`, the model's BOS comes
    /// first, if it has one; what the tokenizer's own post-processor would add is left out.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the tokenizer fails or yields a token that the embedding lacks.
    pub fn encode(&self, text: &str, add_bos: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| self.failed("encoding", e))?;
        let bos = self.bos.filter(|_| add_bos);
        let ids: Vec<u32> = bos.into_iter().chain(encoding.get_ids().iter().copied()).collect();
        match ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            None => Ok(ids),
            Some(id) => {
                let problem = format!("token {id} is outside the model's vocabulary of {}", self.vocab_size);
                Err(Error::malformed(&self.label, "vocabulary", problem, REPAIR))
            }
        }
    }

    /// The text of `ids`. Ids that stand for nothing add nothing, nor do special tokens with `skip_special`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(|e| self.failed("decoding", e))
    }

    /// A decoder for tokens that arrive one at a time.
    pub fn stream(&self, skip_special: bool) -> StreamDecoder {
        StreamDecoder::new(self.clone(), skip_special)
    }

    /// The token `id` as the vocabulary spells it, which for byte-level vocabularies is not its text.
    pub fn token_str(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of the token that the vocabulary spells `token`.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The tokens that the tokenizer knows; the embedding may have more rows.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The token that starts a sequence.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Whether `id` adds nothing to a text.
    fn is_silent(&self, id: u32, skip_special: bool) -> bool {
        skip_special && self.specials.contains(&id) || self.inner.id_to_token(id).is_none()
    }

    fn failed(&self, action: &str, error: tokenizers::Error) -> Error {
        Error::malformed(&self.label, action, error.to_string(), REPAIR)
    }
}
