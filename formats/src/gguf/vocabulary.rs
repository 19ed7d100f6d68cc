//! The tokens of a GGUF file: their texts, kinds and roles. Files that are slightly off are read as
//! llama.cpp reads them.

use std::borrow::Cow;

use super::metadata::Metadata;
use super::{GgufFile, known, pre};
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

/// Bounds the memory that a hostile file can take. The largest vocabularies have a quarter of this.
const MOST: usize = 1 << 20;

/// llama.cpp's BOS and EOS of a byte-level vocabulary without keys for them: Falcon's end of text.
const BYTE_LEVEL_DEFAULT: usize = 11;

/// The vocabulary of a file.
pub(super) struct Vocabulary<'a> {
    file: &'a GgufFile,
    /// `gpt2` or `llama`.
    pub(super) model: &'a str,
    pub(super) tokens: Vec<Cow<'a, str>>,
    pub(super) kinds: Vec<Kind>,
    /// The tokens that end a text or an answer.
    pub(super) ends: Vec<usize>,
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
                return Err(Error::unsupported(file.label(), MODEL, other, expected));
            }
        };
        let tokens = tokens(file)?;
        let kinds = kinds(metadata, tokens.len())?;
        let mut vocabulary = Vocabulary { file, model, tokens, kinds, ends: Vec::new() };
        let mut kinds = vocabulary.kinds.clone();
        vocabulary.ends = known::recognize(&vocabulary.tokens, &mut kinds, |role| vocabulary.stated(role))?;
        vocabulary.kinds = kinds;
        Ok(Some(vocabulary))
    }

    /// Returns the name of the pre-tokenizer.
    pub(super) fn pre(&self) -> Result<&'a str> {
        match self.metadata().text("tokenizer.ggml.pre")? {
            Some(pre) => Ok(pre),
            // Old converters did not know the key, and bitnet.cpp's leaves it out for Llama 3's
            // vocabulary.
            None if self.tokens.iter().any(|token| token == "<|begin_of_text|>") => Ok("llama-bpe"),
            None => {
                self.warn("tokenizer.ggml.pre is missing; texts are cut by llama.cpp's default rule");
                Ok("default")
            }
        }
    }

    /// Returns the token that texts begin with.
    pub(super) fn bos(&self) -> Result<Option<usize>> {
        let by_default = self.model == "llama" || pre::find(self.pre()?).is_some_and(|pre| pre.adds_bos);
        self.added("bos", by_default)
    }

    /// Returns the token that texts end with.
    pub(super) fn eos(&self) -> Result<Option<usize>> {
        self.added("eos", false)
    }

    /// Returns the token of `role` if the file says, or else `by_default`, that every text gets it.
    fn added(&self, role: &str, by_default: bool) -> Result<Option<usize>> {
        if !self.metadata().flag(&format!("tokenizer.ggml.add_{role}_token"))?.unwrap_or(by_default) {
            return Ok(None);
        }
        let key = key(role);
        let stated = self.stated(role)?;
        match (self.tokens.get(BYTE_LEVEL_DEFAULT), self.metadata().float(&key)?) {
            _ if stated.is_some() => Ok(stated),
            (Some(token), _) => {
                self.warn(&format!("{key} names no token; every text gets {token:?}, as in llama.cpp"));
                Ok(Some(BYTE_LEVEL_DEFAULT))
            }
            (None, Some(id)) => {
                let problem = format!("{id} is not a token, but every text gets it");
                Err(self.metadata().malformed(&key, problem))
            }
            (None, None) => Ok(None),
        }
    }

    /// Returns the token in `tokenizer.ggml.ROLE_token_id`, or llama.cpp's default.
    pub(super) fn stated(&self, role: &str) -> Result<Option<usize>> {
        let default = match role {
            "unknown" => Some(0),
            "bos" => Some(1),
            "eos" => Some(2),
            _ => None,
        };
        let default = default.filter(|id| self.model == "llama" && *id < self.tokens.len());
        let key = key(role);
        match self.metadata().float(&key)? {
            None => Ok(default),
            Some(id) if (0.0..self.tokens.len() as f64).contains(&id) => Ok(Some(id as usize)),
            Some(id) => {
                let instead = default.map_or("ignored".into(), |id| format!("read as {id}"));
                self.warn(&format!("{key} is {id}, which is not a token; it is {instead}"));
                Ok(default)
            }
        }
    }

    pub(super) fn metadata(&self) -> &'a Metadata {
        &self.file.metadata
    }

    pub(super) fn label(&self) -> &'a str {
        self.file.label()
    }

    pub(super) fn warn(&self, problem: &str) {
        self.file.warnings.add(format!("{}: {problem}", self.file.label()));
    }
}

fn key(role: &str) -> String {
    format!("tokenizer.ggml.{role}_token_id")
}

/// Returns the tokens' texts. An empty one gets a name of its own.
fn tokens(file: &GgufFile) -> Result<Vec<Cow<'_, str>>> {
    const KEY: &str = "tokenizer.ggml.tokens";
    let metadata = &file.metadata;
    let tokens = metadata.texts(KEY)?.ok_or_else(|| metadata.malformed(KEY, "is missing"))?;
    if tokens.len() > MOST {
        let found = format!("a list of {} tokens", tokens.len());
        return Err(Error::unsupported(file.label(), KEY, found, format!("at most {MOST}")));
    }
    let named = tokens.into_iter().enumerate().map(|(id, token)| match token {
        "" => Cow::Owned(format!("[EMPTY_{id}]")),
        token => Cow::Borrowed(token),
    });
    Ok(named.collect())
}

/// Returns the kinds of the first `count` tokens. Without a list, every token is a normal one.
fn kinds(metadata: &Metadata, count: usize) -> Result<Vec<Kind>> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(numbers) = metadata.numbers(KEY)? else { return Ok(vec![Kind::Normal; count]) };
    if numbers.len() < count {
        return Err(metadata.malformed(KEY, format!("{} types of {count} tokens", numbers.len())));
    }
    let kind = |number: &f64| Kind::ALL.into_iter().find(|kind| f64::from(*kind as u8) == *number);
    Ok(numbers.iter().take(count).map(|number| kind(number).unwrap_or(Kind::Unused)).collect())
}
