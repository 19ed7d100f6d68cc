//! Bounds on what a `tokenizer.json` asks of the `tokenizers` crate, which trusts its input. Real
//! files stay far below them.

mod density;
mod precompiled;
mod steps;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Most tokens of a vocabulary, and most merges for each.
const TOKENS: usize = 1 << 20;
/// Bytes of the longest token.
const TOKEN: usize = 1 << 14;
/// Bytes of the longest prefix and suffix that a model adds to a character, and most characters of a
/// word for WordPiece, whose work grows with their cube.
const AFFIX: usize = 256;
/// Bytes of Unigram's longest piece, and of all its pieces. Its trie is freed by recursion, and takes
/// hundreds of bytes for each byte.
const PIECE: usize = 1 << 10;
const PIECES: usize = 1 << 22;
/// Bytes of the longest added token, and of all. Few tokens become a table of 1024 bytes for each byte.
const ADDED: usize = 1 << 10;
const ALL_ADDED: usize = 1 << 20;
const FEW: usize = 100;
const FEW_ADDED: usize = 1 << 16;
/// Most bytes that the tokenizer may make of each byte of a text or token.
const TEXT_GROWTH: f64 = 4096.0;
const DECODED_GROWTH: f64 = 64.0;
/// Most bytes that the tokenizer may make of a whole text.
const TEXT: f64 = (1u32 << 28) as f64;

/// A part of the file that exceeds a bound: its field, and the problem.
pub(super) type Excess = (String, String);

/// The parts of the file that need bounds.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    model: Option<Model>,
}

#[derive(Deserialize)]
struct Added {
    content: String,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model {
    r#type: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    max_input_chars_per_word: Option<u64>,
    #[serde(default)]
    byte_fallback: bool,
    vocab: Option<Tokens>,
    #[serde(default)]
    merges: Count,
}

/// What remains of a valid file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The factor by which a text can grow.
    growth: f64,
    /// Most bytes of a text that become one token, if there is a limit.
    longest: Option<usize>,
}

impl Bounds {
    /// Checks the `tokenizer.json` in `bytes`.
    pub(super) fn check(bytes: &[u8]) -> Result<Self, Excess> {
        let outline: Outline =
            serde_json::from_slice(bytes).map_err(|e| ("JSON".to_owned(), e.to_string()))?;
        if let Some(model) = &outline.model {
            model.check().map_err(|(field, problem)| (format!("model.{field}"), problem))?;
        }
        let normalizer = steps::growth("normalizer", &outline.normalizer)?;
        let pre_tokenizer = steps::growth("pre_tokenizer", &outline.pre_tokenizer)?;
        let growth = normalizer * pre_tokenizer;
        limit("normalizer", growth, TEXT_GROWTH)?;
        check_added(&outline.added_tokens, normalizer)?;
        limit("decoder", steps::growth("decoder", &outline.decoder)?, DECODED_GROWTH)?;
        steps::check_post_processor(&outline.post_processor)?;
        Ok(Bounds { growth, longest: density::longest(&outline) })
    }

    /// Returns a number of tokens that a text of `length` bytes has at least.
    pub(super) fn fewest_tokens(self, length: usize) -> usize {
        self.longest.map_or(0, |longest| length.div_ceil(longest))
    }

    /// Checks that a text of `length` bytes stays small enough on its way to tokens.
    pub(super) fn check_text(self, length: usize) -> Result<(), String> {
        if length as f64 * self.growth <= TEXT {
            return Ok(());
        }
        Err(format!("a text of {length} bytes can grow {:.0}-fold before it is cut into tokens", self.growth))
    }
}

fn limit(field: &str, growth: f64, most: f64) -> Result<(), Excess> {
    match growth <= most {
        true => Ok(()),
        false => Err((field.to_owned(), format!("a text can grow {growth:.0}-fold; the limit is {most}"))),
    }
}

impl Model {
    fn check(&self) -> Result<(), Excess> {
        let at_most = |field: &str, found: usize, most: usize| match found <= most {
            true => Ok(()),
            false => Err((field.to_owned(), format!("{found} is more than the limit of {most}"))),
        };
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        at_most("continuing_subword_prefix", length(&self.continuing_subword_prefix), AFFIX)?;
        at_most("end_of_word_suffix", length(&self.end_of_word_suffix), AFFIX)?;
        let characters = self.max_input_chars_per_word.unwrap_or(0);
        at_most("max_input_chars_per_word", usize::try_from(characters).unwrap_or(usize::MAX), AFFIX)?;
        at_most("merges", self.merges.0, 4 * TOKENS)?;
        let Some(vocab) = &self.vocab else { return Ok(()) };
        at_most("vocab", vocab.count, TOKENS)?;
        // A file may leave out the type, but only Unigram's vocabulary is a list.
        let unigram = vocab.is_list || self.r#type.as_deref() == Some("Unigram");
        at_most("vocab: the longest token", vocab.longest, if unigram { PIECE } else { TOKEN })?;
        at_most("vocab: bytes of all tokens", if unigram { vocab.bytes } else { 0 }, PIECES)
    }
}

fn check_added(added: &[Added], growth: f64) -> Result<(), Excess> {
    let mut all = 0.0;
    for (i, token) in added.iter().enumerate() {
        if token.content.len() > ADDED {
            let problem = format!("{} bytes are more than the limit of {ADDED}", token.content.len());
            return Err((format!("added_tokens[{i}].content"), problem));
        }
        all += token.content.len() as f64 * if token.normalized { growth } else { 1.0 };
    }
    let most = if added.len() <= FEW { FEW_ADDED } else { ALL_ADDED };
    match all <= most as f64 && added.len() <= TOKENS {
        true => Ok(()),
        false => {
            Err(("added_tokens".to_owned(), format!("{all:.0} bytes are more than the limit of {most}")))
        }
    }
}

/// A vocabulary: a map of tokens to ids, or Unigram's list of pieces with scores.
#[derive(Default)]
struct Tokens {
    is_list: bool,
    count: usize,
    longest: usize,
    bytes: usize,
}

impl Tokens {
    fn add(&mut self, token: &str) {
        self.count += 1;
        self.longest = self.longest.max(token.len());
        self.bytes += token.len();
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tokens;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tokens, A::Error> {
                let mut tokens = Tokens::default();
                while let Some((token, _)) = map.next_entry::<String, IgnoredAny>()? {
                    tokens.add(&token);
                }
                Ok(tokens)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tokens, A::Error> {
                let mut tokens = Tokens { is_list: true, ..Tokens::default() };
                while let Some((token, _)) = list.next_element::<(String, IgnoredAny)>()? {
                    tokens.add(&token);
                }
                Ok(tokens)
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

/// The length of a list.
#[derive(Default)]
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<IgnoredAny>::deserialize(deserializer).map(|list| Count(list.len()))
    }
}
