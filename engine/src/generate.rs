//! From a prompt to text, token by token.

mod continuation;
mod text;
mod together;

use std::ops::ControlFlow;
use std::time::Duration;

use crate::error::Result;
use crate::model::Model;
use crate::sampler::SamplerOptions;
use crate::tokenizer::Tokenizer;

pub use continuation::{Continuation, Sequence, Step};
pub use together::step_all;

/// What is to be generated.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The most tokens to generate.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Tokens that end the text.
    pub eos: Vec<u32>,
    /// Strings that end the text, themselves not part of it.
    pub stop: Vec<String>,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model chose an end token.
    Eos,
    /// The request's number of tokens, or the context, is full.
    Length,
    /// A stop string was complete.
    StopString,
    /// The caller asked to stop.
    Cancelled,
}

impl Stop {
    /// The reason's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Stop::Eos => "eos",
            Stop::Length => "length",
            Stop::StopString => "stop_string",
            Stop::Cancelled => "cancelled",
        }
    }
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Generation {
    /// The tokens, an end token included.
    pub ids: Vec<u32>,
    /// Their text, without special tokens and without the stop string.
    pub text: String,
    /// Why it ended.
    pub stop: Stop,
    /// Tokens that prefill went through.
    pub prompt_tokens: usize,
    /// Time until the first token's logits.
    pub prefill: Duration,
    /// Time from there to the end.
    pub decode: Duration,
}

impl Generation {
    /// Prompt tokens per second.
    pub fn prefill_tps(&self) -> f64 {
        self.prompt_tokens as f64 / self.prefill.as_secs_f64()
    }

    /// Tokens per second after the first; 0 if there was no second.
    pub fn decode_tps(&self) -> f64 {
        self.ids.len().saturating_sub(1) as f64 / self.decode.as_secs_f64()
    }
}

/// One sequence of a model and its continuations, each run to its end.
#[derive(Debug)]
pub struct Generator<'m> {
    model: &'m Model,
    tokenizer: &'m Tokenizer,
    sequence: Sequence,
}

impl<'m> Generator<'m> {
    /// An empty sequence of at most `context` tokens.
    ///
    /// # Errors
    /// Those of [`Model::new_state`].
    pub fn new(model: &'m Model, tokenizer: &'m Tokenizer, context: usize) -> Result<Self> {
        Ok(Generator { model, tokenizer, sequence: Sequence::new(model, context)? })
    }

    /// Every token of the sequence.
    pub fn history(&self) -> &[u32] {
        self.sequence.history()
    }

    /// Size of the key and value cache.
    pub fn cache_bytes(&self) -> usize {
        self.sequence.cache_bytes()
    }

    /// Makes `ids` the sequence and keeps what the cache already holds of its beginning.
    pub fn rewind_to(&mut self, ids: &[u32]) {
        self.sequence.rewind_to(ids);
    }

    /// Appends `prompt` and then generated tokens to the sequence, handing on text as it becomes certain.
    ///
    /// # Errors
    /// Fails if the request is invalid, the prompt is empty or exceeds the context, or the model yields no numbers; the
    /// sequence is then as before, or ends with what was generated.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        request: &Request,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let Generator { model, tokenizer, ref mut sequence } = *self;
        let mut continuation = Continuation::new(model, tokenizer, sequence, prompt, request.clone())?;
        while let Some(step) = continuation.step(model, sequence)? {
            if !step.text.is_empty() && on_text(&step.text).is_break() {
                continuation.cancel();
            }
        }
        Ok(continuation.finish())
    }
}
