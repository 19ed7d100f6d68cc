//! One text that follows a grammar.

use std::fmt;

use llguidance::TokenParser;

use crate::error::{Error, Result};
use crate::mask::Mask;

/// The possible continuations of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The text is complete, and no token may follow.
    End,
    /// These tokens must follow. There is at least one.
    Forced(Vec<u32>),
    /// One of these tokens must follow. There are at least two; tokens that end the text are among them if it may end.
    Choice(Mask),
}

/// A text under way. Each token is to be accepted before the next call of [`Matcher::allowed`].
#[derive(Clone)]
pub struct Matcher {
    inner: llguidance::Matcher,
    /// The end of a text in the vocabulary's trie.
    end: u32,
    /// The tokens that end a text in the model.
    ends: Vec<u32>,
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("ended", &self.inner.is_stopped()).finish_non_exhaustive()
    }
}

impl Matcher {
    /// Returns a matcher, and computes its first mask, which may be the dearest.
    pub(crate) fn new(parser: TokenParser, end: u32) -> Result<Self> {
        let matcher = Matcher { inner: llguidance::Matcher::new(Ok(parser)), end, ends: Vec::new() };
        matcher.start(&[0]).allowed()?;
        Ok(matcher)
    }

    /// Returns a matcher of its own for one more text, which each token of `ends` may end where the grammar may. They share
    /// no cache, so that the cost of one does not depend on the other.
    pub fn start(&self, ends: &[u32]) -> Self {
        let ends = ends.iter().copied().filter(|&id| id < self.end).collect();
        Matcher { inner: self.inner.deep_clone(), end: self.end, ends }
    }

    /// Returns the tokens that may follow the accepted ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the grammar has no continuation here, or takes too many steps.
    pub fn allowed(&mut self) -> Result<Next> {
        if self.ended()? {
            return Ok(Next::End);
        }
        let forced = self.inner.compute_ff_tokens();
        if !forced.is_empty() {
            return Ok(Next::Forced(forced));
        }
        let mut tokens = match self.inner.compute_mask() {
            Ok(tokens) => tokens,
            Err(_) if self.ended()? => return Ok(Next::End),
            Err(error) => return Err(Error::invalid(error)),
        };
        let may_end = tokens.is_allowed(self.end);
        tokens.disallow_token(self.end);
        if may_end && tokens.is_zero() {
            return Ok(Next::End);
        }
        if may_end {
            self.ends.iter().for_each(|&id| tokens.allow_token(id));
        }
        let mask = Mask::new(tokens);
        match mask.len() {
            0 => Err(Error::invalid("no token of the vocabulary continues the text")),
            1 => Ok(Next::Forced(mask.iter().collect())),
            _ => Ok(Next::Choice(mask)),
        }
    }

    /// Takes the next token of the text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the token may not follow, or following it takes too many steps.
    pub fn accept(&mut self, token: u32) -> Result<()> {
        let ends = self.ends.contains(&token) && self.inner.is_accepting().map_err(Error::invalid)?;
        self.inner.consume_token(if ends { self.end } else { token }).map_err(Error::invalid)
    }

    /// Returns true if the text has ended by the grammar.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has ended by a fault.
    pub fn ended(&self) -> Result<bool> {
        match (self.inner.get_error(), self.inner.stop_reason()) {
            (None, _) => Ok(self.inner.is_stopped()),
            (Some(_), reason) if reason.is_ok() => Ok(true),
            (Some(error), _) => Err(Error::invalid(error)),
        }
    }
}
