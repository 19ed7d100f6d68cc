//! Decodes tokens that arrive one at a time.

use super::Tokenizer;
use crate::error::Result;

/// The character that decoders put in place of invalid or incomplete UTF-8.
const REPLACEMENT: char = '\u{FFFD}';

/// Bytes of the longest character. Bytes that are not UTF-8 after this many tokens never become UTF-8.
const LONGEST_CHARACTER: usize = 4;
/// Tokens that a window keeps as context, because some decoders treat the first token of a text
/// differently.
const CONTEXT: usize = 8;
/// Tokens at which the window is cut to its context, if that does not split a character.
const FULL: usize = 16;
/// Tokens at which the window is cut in any case.
const OVERFULL: usize = 64;

/// Turns a stream of tokens into a stream of text that never ends within a character.
///
/// Each token is decoded together with a window of the latest tokens. The part of the text that was not
/// given out yet is the token's text. The cost of a token does not grow with the length of the stream.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// # let files = tercet_engine::open_model(None, &mut |_| {})?;
/// # let config = tercet_formats::Config::load(&files)?;
/// # let tokenizer = tercet_engine::Tokenizer::load(&files, config.vocab_size, config.bos_token_id)?;
/// let mut stream = tokenizer.stream(true);
/// let mut text = String::new();
/// for id in tokenizer.encode("a crab: 🦀", false)? {
///     text += &stream.push(id)?;
/// }
/// text += &stream.finish()?;
/// assert_eq!(text, "a crab: 🦀");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct StreamDecoder {
    tokenizer: Tokenizer,
    skip_special: bool,
    window: Vec<u32>,
    /// The text of the window that [`StreamDecoder::push`] has returned.
    shown: String,
    /// The number of tokens, from the window's start, with their whole text in `shown`.
    complete: usize,
}

impl StreamDecoder {
    pub(super) fn new(tokenizer: Tokenizer, skip_special: bool) -> Self {
        StreamDecoder { tokenizer, skip_special, window: Vec::new(), shown: String::new(), complete: 0 }
    }

    /// Takes the next token and returns the text that it completes. Within a character the text is empty.
    ///
    /// # Errors
    /// Fails like [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<String> {
        if self.tokenizer.is_silent(id, self.skip_special) {
            return Ok(String::new());
        }
        self.window.push(id);
        let mut text = self.decode(&self.window)?;
        let pending = self.window.len() - self.complete;
        if !text.starts_with(&self.shown) {
            if text.ends_with(REPLACEMENT) && pending < LONGEST_CHARACTER {
                return Ok(String::new());
            }
            text = self.restart()?;
        }

        let settled = settled(&text, pending);
        let fresh = settled.get(self.shown.len()..).unwrap_or_default().to_owned();
        self.shown.push_str(&fresh);
        if settled.len() == text.len() {
            self.complete = self.window.len();
        }
        if self.window.len() >= FULL && (settled.len() == text.len() || pending >= LONGEST_CHARACTER) {
            self.cut(&text)?;
        }
        Ok(fresh)
    }

    /// Returns the rest of the text. An incomplete character becomes U+FFFD.
    ///
    /// # Errors
    /// Fails like [`Tokenizer::decode`].
    pub fn finish(mut self) -> Result<String> {
        let mut text = self.decode(&self.window)?;
        if !text.starts_with(&self.shown) {
            text = self.restart()?;
        }
        Ok(text.split_off(self.shown.len()))
    }

    #[cfg(test)]
    pub(super) fn window_len(&self) -> usize {
        self.window.len()
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, self.skip_special)
    }

    /// Removes the complete tokens from the window, and returns the text of the others alone.
    fn restart(&mut self) -> Result<String> {
        self.window.drain(..self.complete);
        self.complete = 0;
        self.shown.clear();
        self.decode(&self.window)
    }

    /// Shortens the window, which has the text `text`, at a place that does not split a character.
    fn cut(&mut self, text: &str) -> Result<()> {
        let pending = self.window.len() - self.complete;
        let latest = self.window.len() - CONTEXT;
        for start in latest..latest + LONGEST_CHARACTER {
            let mut rest = self.decode(&self.window[start..])?;
            if text.ends_with(&rest) || self.window.len() >= OVERFULL {
                if pending > 0 {
                    rest.truncate(settled(&rest, pending).len());
                }
                self.window.drain(..start);
                self.complete = self.complete.saturating_sub(start);
                self.shown = rest;
                break;
            }
        }
        Ok(())
    }
}

/// Returns the part of `text` that further tokens cannot change. Its last `pending` tokens are not
/// complete yet.
fn settled(text: &str, pending: usize) -> &str {
    if pending < LONGEST_CHARACTER {
        text.trim_end_matches(REPLACEMENT)
    } else {
        text.strip_suffix(REPLACEMENT).unwrap_or(text)
    }
}
