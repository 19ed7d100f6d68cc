//! Text from tokens that arrive one at a time.

use super::Tokenizer;
use crate::error::Result;

/// What a decoder puts in place of bytes that are no UTF-8, or not yet.
const REPLACEMENT: char = '\u{FFFD}';

/// A character has up to four bytes: after as many tokens, what is not UTF-8 never will be.
const LONGEST_CHARACTER: usize = 4;
/// Tokens kept as context, since some decoders treat the first token of a text differently.
const CONTEXT: usize = 8;
/// At this many tokens the window is cut back to the context.
const FULL: usize = 16;
/// At this many it is cut wherever it may be.
const OVERFULL: usize = 64;

/// Turns a stream of tokens into a stream of text that never ends within a character.
///
/// A window over the latest tokens is decoded anew for each token, and what it adds to the text already given out is
/// new. The cost of a token does not depend on how many came before.
#[derive(Clone, Debug)]
pub struct StreamDecoder {
    tokenizer: Tokenizer,
    skip_special: bool,
    window: Vec<u32>,
    /// The text of the window that was given out.
    shown: String,
    /// The leading tokens of the window whose text was given out to the end.
    complete: usize,
}

impl StreamDecoder {
    pub(super) fn new(tokenizer: Tokenizer, skip_special: bool) -> Self {
        StreamDecoder { tokenizer, skip_special, window: Vec::new(), shown: String::new(), complete: 0 }
    }

    /// The text that `id` completes: often that of `id`, nothing within a character.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`].
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

    /// The text still withheld, with U+FFFD for the bytes of a character that never became complete.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`].
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

    /// Forgets the tokens whose text was given out: the text of the others, on their own.
    fn restart(&mut self) -> Result<String> {
        self.window.drain(..self.complete);
        self.complete = 0;
        self.shown.clear();
        self.decode(&self.window)
    }

    /// Shortens the window, whose text is `text`, where that does not go through a character.
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

/// The part of `text` that further tokens cannot change, when its last `pending` tokens were not yet complete.
fn settled(text: &str, pending: usize) -> &str {
    if pending < LONGEST_CHARACTER {
        text.trim_end_matches(REPLACEMENT)
    } else {
        text.strip_suffix(REPLACEMENT).unwrap_or(text)
    }
}
