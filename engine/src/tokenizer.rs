//! Converts text to token ids and back.

mod bounds;
mod decoding;
mod spelled;
mod stream;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use tokenizers::{AddedVocabulary, Decoder, Model, OffsetType, PreTokenizer};

use crate::error::{Error, Result};
use tercet_formats::{Frame, ModelFiles, TokenizerSource, guarded};

use bounds::Bounds;
use decoding::Decoding;
pub use stream::StreamDecoder;
use vocabulary::Built;

const REPAIR: &str = "download the file again, together with the model's config.json";

/// A model's tokenizer, which its `tokenizer.json` and the files beside it describe, as in transformers. Clones are cheap:
/// they share the vocabulary.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::{Tokenizer, open_model};
/// use tercet_formats::Config;
///
/// let files = open_model(None, &mut |_| {})?;
/// let config = Config::load(&files)?;
/// let tokenizer = Tokenizer::load(&files, config.vocab_size)?;
///
/// let ids = tokenizer.encode("Once upon a time", true)?;
/// assert_eq!(ids[..1], *tokenizer.start());
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
    frame: Arc<Frame>,
    decoding: Decoding,
    /// True if a text loses the spaces before punctuation.
    cleans_up: bool,
    specials: Arc<HashSet<u32>>,
    /// Added tokens that the decoder would misread, as it has to read them.
    respelled: Arc<HashMap<u32, String>>,
    /// The vocabulary as grammars need it, or the reason why there is none, once a grammar has asked.
    vocabulary: Arc<Built>,
}

/// What becomes of a special token that a text spells out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelled {
    /// It is the token, as in the model's own template.
    #[default]
    Token,
    /// It is text like any other, which cannot structure a prompt.
    Text,
}

/// The part that decides how a text may be cut.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    decoder: serde_json::Value,
}

impl Tokenizer {
    /// Reads the tokenizer of a model with `vocab_size` rows in its embedding.
    ///
    /// # Errors
    /// Fails like [`TokenizerSource::load`] and [`Tokenizer::parse`].
    pub fn load(files: &ModelFiles, vocab_size: usize) -> Result<Self> {
        Self::parse(&TokenizerSource::load(files)?, vocab_size)
    }

    /// Reads the tokenizer in `source`, of a model with `vocab_size` rows in its embedding.
    ///
    /// # Errors
    /// Fails if the source does not describe a tokenizer.
    pub fn parse(source: &TokenizerSource, vocab_size: usize) -> Result<Self> {
        let TokenizerSource { json, label, .. } = source;
        let bounds = Bounds::check(json)
            .map_err(|(field, problem)| Error::malformed(label, field, problem, REPAIR))?;
        let outline = serde_json::from_slice::<Outline>(json)
            .map_err(|e| Error::malformed(label, "JSON", e.to_string(), REPAIR))?;
        let inner = attempt(|| {
            let mut inner = tokenizers::Tokenizer::from_bytes(&**json)?;
            // Both serve training in batches and would change the model's input.
            inner.with_truncation(None)?.with_padding(None);
            inner.set_encode_special_tokens(source.split_special_tokens);
            Ok(inner)
        });
        let inner = inner.map_err(|problem| Error::malformed(label, "tokenizer", problem, REPAIR))?;
        let decoding = Decoding::of(&outline.decoder, source.cleans_up_spaces);
        let added = inner.get_added_tokens_decoder();
        let is_special = |token: &str| inner.get_added_vocabulary().is_special_token(token);
        let specials = added.iter().filter(|(_, token)| is_special(&token.content)).map(|(id, _)| *id);
        let respelled = added.iter().filter_map(|(id, token)| Some((*id, decoding.respell(&token.content)?)));
        let respelled = Arc::new(respelled.collect());
        Ok(Tokenizer {
            bounds,
            label: label.clone(),
            vocab_size,
            bos: source.special_token("bos_token").and_then(|token| inner.token_to_id(token)),
            frame: Arc::new(source.frame()?),
            decoding,
            cleans_up: source.cleans_up_spaces,
            specials: Arc::new(specials.collect()),
            respelled,
            vocabulary: Arc::default(),
            inner: Arc::new(inner),
        })
    }

    /// Returns a number of tokens that every text of `bytes` bytes has at least, without looking at one. It is 0 for
    /// tokenizers that drop text, or that turn any number of unknown characters into one token.
    pub fn fewest_tokens(&self, bytes: usize) -> usize {
        self.bounds.fewest_tokens(bytes)
    }

    /// Returns the tokens of `text`.
    ///
    /// Special tokens that are spelled out in the text become those tokens. With `framed`, the tokenizer's post-processor
    /// puts the tokens of [`Tokenizer::start`] before the text, and others after it if the model has such.
    ///
    /// # Errors
    /// Fails if the tokenizer does, or gives a token outside the embedding.
    pub fn encode(&self, text: &str, framed: bool) -> Result<Vec<u32>> {
        self.encode_by(text, || self.inner.encode_fast(text, framed))
    }

    /// Does the same as [`Tokenizer::encode`], with a choice for special tokens that the text spells out.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn encode_spelled(&self, text: &str, framed: bool, spelled: Spelled) -> Result<Vec<u32>> {
        if spelled == Spelled::Token {
            return self.encode(text, framed);
        }
        let mut added = self.inner.get_added_vocabulary().clone();
        added.set_encode_special_tokens(true);
        self.encode_with(&added, text, framed)
    }

    /// Returns the tokens of `text`, none of which is an added one.
    pub(crate) fn encode_without_added(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(&AddedVocabulary::new(), text, false)
    }

    /// Returns the tokens of `text`, which is searched for the tokens of `added` first.
    fn encode_with(&self, added: &AddedVocabulary, text: &str, framed: bool) -> Result<Vec<u32>> {
        self.encode_by(text, || {
            let mut parts = added.extract_and_normalize(self.inner.get_normalizer(), text);
            if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
                pre_tokenizer.pre_tokenize(&mut parts)?;
            }
            parts.tokenize(|part| self.inner.get_model().tokenize(part.get()))?;
            self.inner.post_process(parts.into_encoding(None, 0, OffsetType::None)?, None, framed)
        })
    }

    /// Returns the added tokens, which texts are searched for, and whether each is special.
    pub(crate) fn added_tokens(&self) -> impl Iterator<Item = (&str, bool)> {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        added.values().map(|token| (token.content.as_str(), token.special))
    }

    /// Returns the tokens that `encode` makes of `text`.
    fn encode_by(
        &self,
        text: &str,
        encode: impl FnOnce() -> tokenizers::Result<tokenizers::Encoding>,
    ) -> Result<Vec<u32>> {
        self.bounds.check_text(text.len()).map_err(|problem| self.failed("encoding", problem))?;
        let ids = attempt(|| Ok(encode()?.get_ids().to_vec()));
        let ids = ids.map_err(|problem| self.failed("encoding", problem))?;
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
        let text = attempt(|| self.decode_raw(ids, skip_special));
        let text = text.map_err(|problem| self.failed("decoding", problem))?;
        Ok(if self.cleans_up { decoding::clean_up(text) } else { text })
    }

    fn decode_raw(&self, ids: &[u32], skip_special: bool) -> tokenizers::Result<String> {
        // Some decoders of the crate fail without any token.
        if ids.iter().all(|id| self.is_silent(*id, skip_special)) {
            return Ok(String::new());
        }
        match self.inner.get_decoder().filter(|_| !self.respelled.is_empty()) {
            None => self.inner.decode(ids, skip_special),
            Some(decoder) => {
                let heard = ids.iter().filter(|id| !self.is_silent(**id, skip_special));
                let tokens =
                    heard.filter_map(|id| self.respelled.get(id).cloned().or_else(|| self.token_str(*id)));
                decoder.decode(tokens.collect())
            }
        }
    }

    /// Returns a decoder for tokens that arrive one at a time.
    pub fn stream(&self, skip_special: bool) -> StreamDecoder {
        StreamDecoder::new(self.clone(), skip_special)
    }

    /// Returns a decoder for tokens that continue the text of `before`. The stream has only the text of the new tokens, but
    /// some decoders treat the beginning of a text differently.
    ///
    /// # Errors
    /// Fails like [`Tokenizer::decode`].
    pub fn stream_after(&self, before: &[u32], skip_special: bool) -> Result<StreamDecoder> {
        StreamDecoder::after(self.clone(), before, skip_special)
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

    /// Returns the first token that has another spelling in the vocabulary of `other`, and both spellings.
    pub(crate) fn first_difference(
        &self,
        other: &Tokenizer,
    ) -> Option<(u32, Option<String>, Option<String>)> {
        let ids = 0..self.vocab_size.max(other.vocab_size) as u32;
        ids.map(|id| (id, self.token_str(id), other.token_str(id))).find(|(_, ours, theirs)| ours != theirs)
    }

    /// Returns the number of tokens in the vocabulary; the embedding may have more rows.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Returns the token called BOS. A text need not begin with it: [`Tokenizer::start`] has what texts begin with.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Returns the tokens that [`Tokenizer::encode`] puts before a framed text: BOS, or nothing for some models.
    pub fn start(&self) -> &[u32] {
        &self.frame.before
    }

    /// Returns the tokens that [`Tokenizer::encode`] puts after a framed text.
    pub(crate) fn end(&self) -> &[u32] {
        &self.frame.after
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
