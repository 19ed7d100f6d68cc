//! Converts text to token ids and back.

mod bounds;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::guard::guarded;
use bounds::Bounds;
use tercet_formats::ModelFiles;

pub use stream::StreamDecoder;

const FILE: &str = "tokenizer.json";
const REPAIR: &str = "download the file again, together with the model's config.json";

/// A model's tokenizer, which its `tokenizer.json` describes. Clones are cheap: they share the
/// vocabulary.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::{Tokenizer, open_model};
/// use tercet_formats::Config;
///
/// let files = open_model(None, &mut |_| {})?;
/// let config = Config::load(&files)?;
/// let tokenizer = Tokenizer::load(&files, config.vocab_size, config.bos_token_id)?;
///
/// let ids = tokenizer.encode("Once upon a time", true)?;
/// assert_eq!(Some(ids[0]), tokenizer.bos());
/// assert_eq!(tokenizer.decode(&ids, true)?, "Once upon a time");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    bounds: Bounds,
    label: String,
    vocab_size: usize,
    bos: Option<u32>,
    specials: Arc<HashSet<u32>>,
}

impl Tokenizer {
    /// Reads the tokenizer of a model with `vocab_size` rows in its embedding and the start token `bos`.
    ///
    /// # Errors
    /// Fails like [`ModelFiles::get`] and [`Tokenizer::parse`].
    pub fn load(files: &ModelFiles, vocab_size: usize, bos: Option<u32>) -> Result<Self> {
        Self::parse(&files.get(FILE)?, &files.label(FILE), vocab_size, bos)
    }

    /// Reads the `tokenizer.json` in `bytes`. Errors name it `label`.
    ///
    /// # Errors
    /// Fails if the bytes do not describe a tokenizer.
    pub fn parse(bytes: &[u8], label: &str, vocab_size: usize, bos: Option<u32>) -> Result<Self> {
        let bounds = Bounds::check(bytes)
            .map_err(|(field, problem)| Error::malformed(label, field, problem, REPAIR))?;
        let inner = attempt(|| {
            let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
            // Both serve training in batches and would change the model's input.
            inner.with_truncation(None)?.with_padding(None);
            Ok(inner)
        });
        let inner = inner.map_err(|problem| Error::malformed(label, "tokenizer", problem, REPAIR))?;
        let added = inner.get_added_tokens_decoder();
        let specials = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id).collect();
        Ok(Tokenizer {
            inner: Arc::new(inner),
            bounds,
            label: label.to_owned(),
            vocab_size,
            bos,
            specials: Arc::new(specials),
        })
    }

    /// Returns the tokens of `text`.
    ///
    /// Special tokens that are spelled out in the text become those tokens. With `add_bos` the model's
    /// start token comes first, if it has one. The tokenizer's own post-processor does not run.
    ///
    /// # Errors
    /// Fails if the tokenizer does, or gives a token outside the embedding.
    pub fn encode(&self, text: &str, add_bos: bool) -> Result<Vec<u32>> {
        self.bounds.check_text(text.len()).map_err(|problem| self.failed("encoding", problem))?;
        let encoding = attempt(|| self.inner.encode_fast(text, false))
            .map_err(|problem| self.failed("encoding", problem))?;
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

    /// Returns the text of `ids`. Unknown ids have no text. With `skip_special`, special tokens have
    /// none either.
    ///
    /// # Errors
    /// Fails if the tokenizer's decoder does.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        attempt(|| self.inner.decode(ids, skip_special)).map_err(|problem| self.failed("decoding", problem))
    }

    /// Returns a decoder for tokens that arrive one at a time.
    pub fn stream(&self, skip_special: bool) -> StreamDecoder {
        StreamDecoder::new(self.clone(), skip_special)
    }

    /// Returns the vocabulary's spelling of token `id`. In byte-level vocabularies it differs from the
    /// token's text.
    pub fn token_str(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Returns the id of the token with the spelling `token` in the vocabulary.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Returns the number of tokens in the vocabulary; the embedding may have more rows.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Returns the token that starts a sequence.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Returns the spelling of `id` if it is a special token.
    pub(crate) fn special(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id).filter(|_| self.specials.contains(&id))
    }

    /// Returns true if `id` has no text.
    fn is_silent(&self, id: u32, skip_special: bool) -> bool {
        skip_special && self.specials.contains(&id) || self.inner.id_to_token(id).is_none()
    }

    fn failed(&self, action: &str, problem: String) -> Error {
        Error::malformed(&self.label, action, problem, REPAIR)
    }
}

/// Runs `action` of the `tokenizers` crate, which panics on some files.
fn attempt<T>(action: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    guarded(action)
        .map_err(|panic| format!("the tokenizers library fails: {panic}"))?
        .map_err(|e| e.to_string())
}
