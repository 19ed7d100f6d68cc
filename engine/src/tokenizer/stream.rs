//! Decodes tokens that arrive one at a time.

use super::Tokenizer;
use crate::error::Result;

/// The character that decoders put in place of invalid or incomplete UTF-8.
const REPLACEMENT: char = '\u{FFFD}';

/// Tokens that a window keeps as context: some decoders treat the first token of a text differently, and a character may
/// take four.
const CONTEXT: usize = 8;
/// Tokens at which the window is cut to its context.
const FULL: usize = 16;

/// Turns a stream of tokens into a stream of text that never ends within a character.
///
/// The concatenation of all pieces is the decoding of all tokens. Each token is decoded together with a window of the latest
/// tokens, and the text that was not given out yet is its text. The cost of a token does not grow with the length of the
/// stream.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// # let files = tercet_engine::open_model(None, &mut |_| {})?;
/// # let config = tercet_formats::Config::load(&files)?;
/// # let tokenizer = tercet_engine::Tokenizer::load(&files, config.vocab_size)?;
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
    /// Bytes of the window's text that were given out, or belong to the text before the stream.
    shown: usize,
}

impl StreamDecoder {
    pub(super) fn new(tokenizer: Tokenizer, skip_special: bool) -> Self {
        StreamDecoder { tokenizer, skip_special, window: Vec::new(), shown: 0 }
    }

    pub(super) fn after(tokenizer: Tokenizer, before: &[u32], skip_special: bool) -> Result<Self> {
        let mut stream = Self::new(tokenizer, skip_special);
        let heard = |id: &u32| !stream.tokenizer.is_silent(*id, skip_special);
        stream.window = before.iter().copied().filter(heard).collect();
        let text = stream.decode(&stream.window)?;
        let bytes = stream.window.iter().rev().take_while(|id| stream.is_byte(**id)).count();
        stream.shown = match bytes {
            1.. if text.ends_with(REPLACEMENT) => {
                stream.decode(&stream.window[..stream.window.len() - bytes])?.len()
            }
            _ => settled(&text).len(),
        };
        stream.cut(&text)?;
        Ok(stream)
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
        if self.tokenizer.decoding.needs_all() || self.is_byte(id) {
            return Ok(String::new());
        }
        let text = self.decode(&self.window)?;
        let fresh = self.show(settled(&text));
        if self.window.len() >= FULL {
            self.cut(&text)?;
        }
        Ok(fresh)
    }

    /// Returns the rest of the text. An incomplete character becomes U+FFFD.
    ///
    /// # Errors
    /// Fails like [`Tokenizer::decode`].
    pub fn finish(mut self) -> Result<String> {
        self.flush()
    }

    /// Returns the text that was withheld, as if no token followed.
    pub(crate) fn flush(&mut self) -> Result<String> {
        let text = self.decode(&self.window)?;
        Ok(self.show(&text))
    }

    /// Gives out what is new in `text`. New bytes may spoil a row of bytes that was shown; it is not shown again.
    fn show(&mut self, text: &str) -> String {
        let start = text.ceil_char_boundary(self.shown.min(text.len()));
        self.shown = self.shown.max(text.len());
        text[start..].to_owned()
    }

    #[cfg(test)]
    pub(super) fn window_len(&self) -> usize {
        self.window.len()
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, self.skip_special)
    }

    fn is_byte(&self, id: u32) -> bool {
        self.tokenizer.token_str(id).is_some_and(|token| self.tokenizer.decoding.is_byte(&token))
    }

    /// Shortens the window, which has the text `text`, to its latest tokens. It never begins within a row of bytes.
    fn cut(&mut self, text: &str) -> Result<()> {
        let mut start = self.window.len().saturating_sub(CONTEXT);
        while start > 0 && self.is_byte(self.window[start]) && self.is_byte(self.window[start - 1]) {
            start -= 1;
        }
        if start > 0 && !self.tokenizer.decoding.needs_all() {
            let withheld = text.len() - self.shown;
            self.window.drain(..start);
            self.shown = self.decode(&self.window)?.len().saturating_sub(withheld);
        }
        Ok(())
    }
}

/// Returns the part of `text` that further tokens cannot change: all but a character that may be incomplete.
fn settled(text: &str) -> &str {
    text.strip_suffix(REPLACEMENT).unwrap_or(text)
}
