//! The way of a text through its grammar.

#[cfg(all(test, feature = "embedded"))]
mod tests;

use tercet_grammar::{Mask, Matcher, Next};

use crate::error::{Error, Result};

/// A grammar's say in the choice of tokens.
#[derive(Clone, Debug)]
pub(super) struct Guide {
    matcher: Matcher,
    next: Next,
    nothing: Mask,
}

impl Guide {
    /// Starts a text by `matcher`, which the tokens `eos` end.
    pub(super) fn new(matcher: &Matcher, eos: &[u32]) -> Result<Self> {
        let mut matcher = matcher.start(eos);
        let next = matcher.allowed().map_err(failed)?;
        Ok(Guide { matcher, next, nothing: Mask::of(&[]) })
    }

    /// Returns the tokens whose logits decide the next choice: none if there is no choice.
    pub(super) fn mask(&self) -> &Mask {
        match &self.next {
            Next::Choice(mask) => mask,
            Next::Forced(_) | Next::End => &self.nothing,
        }
    }

    /// Returns the next token if there is no choice.
    pub(super) fn forced(&self) -> Option<u32> {
        match &self.next {
            Next::Forced(tokens) => tokens.first().copied(),
            Next::Choice(_) | Next::End => None,
        }
    }

    /// Returns true if no token may follow.
    pub(super) fn has_ended(&self) -> bool {
        self.next == Next::End
    }

    /// Excludes all tokens that may not follow.
    pub(super) fn restrict(&self, logits: &mut [f32]) {
        let mask = self.mask();
        for (token, logit) in logits.iter_mut().enumerate() {
            if !mask.contains(token as u32) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// Takes the next token.
    pub(super) fn accept(&mut self, token: u32) -> Result<()> {
        self.matcher.accept(token).map_err(failed)?;
        match &mut self.next {
            Next::Forced(tokens) if tokens.len() > 1 => {
                tokens.remove(0);
            }
            _ => self.next = self.matcher.allowed().map_err(failed)?,
        }
        Ok(())
    }
}

fn failed(error: tercet_grammar::Error) -> Error {
    Error::bad_argument("the grammar", error.to_string(), "simplify it")
}
