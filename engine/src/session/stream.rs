//! A text as an iterator.

use std::ops::Deref;

use super::Session;
use crate::error::Result;
use crate::generate::{Continuation, Generation, Request, Sequence, Step, Stop};

/// The pieces of a text that continues a prompt, as they become certain. Dropping it ends the text.
///
/// It borrows its session, or shares it in an `Arc`.
#[derive(Debug)]
pub struct Stream<S> {
    session: S,
    sequence: Sequence,
    continuation: Continuation,
}

impl<S: Deref<Target = Session>> Stream<S> {
    /// Continues `prompt` in a sequence of its own.
    ///
    /// # Errors
    /// Fails if the request is invalid, or the prompt is empty or exceeds the context.
    pub fn new(session: S, prompt: &[u32], request: Request) -> Result<Self> {
        let (model, tokenizer) = (session.model(), session.tokenizer());
        let mut sequence = Sequence::for_request(model, prompt, &request)?;
        let continuation = Continuation::new(model, tokenizer, &mut sequence, prompt, request)?;
        Ok(Stream { session, sequence, continuation })
    }

    /// Reads a part of the prompt or generates a token; returns none once the text has ended.
    ///
    /// # Errors
    /// Fails if the model yields no numbers or the tokenizer cannot decode.
    pub fn step(&mut self) -> Result<Option<Step>> {
        self.continuation.step(self.session.model(), &mut self.sequence)
    }

    /// Returns the tokens so far, an end token included.
    pub fn ids(&self) -> &[u32] {
        self.continuation.ids()
    }

    /// Returns why the text ended, once it has.
    pub fn stop(&self) -> Option<Stop> {
        self.continuation.stop()
    }

    /// Ends the text and returns what was generated.
    pub fn finish(self) -> Generation {
        self.continuation.finish()
    }
}

impl<S: Deref<Target = Session>> Iterator for Stream<S> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        loop {
            match self.step() {
                Ok(Some(step)) if step.text.is_empty() => {}
                Ok(step) => return step.map(|step| Ok(step.text)),
                Err(error) => {
                    self.continuation.cancel();
                    return Some(Err(error));
                }
            }
        }
    }
}
