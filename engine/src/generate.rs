//! Generates text from a prompt, token by token.

mod continuation;
mod draft;
mod guide;
mod logprobs;
mod processor;
mod sequence;
#[cfg(all(test, feature = "embedded"))]
mod tests;
mod text;

use std::ops::ControlFlow;
use std::time::Duration;

use tercet_grammar::Matcher;

use crate::cancel::Cancel;
use crate::error::Result;
use crate::model::Model;
use crate::sampler::SamplerOptions;
use crate::tokenizer::Tokenizer;

pub use continuation::{Continuation, Step};
pub use draft::{Draft, DraftModel};
pub(crate) use logprobs::log_sum;
pub use logprobs::{Logprob, TokenLogprobs};
pub use processor::LogitsProcessor;
pub use sequence::Sequence;

/// A request for text. The default is greedy and knows no end tokens; [`Session::request`](crate::Session::request) has
/// those of the model.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Tokens that end the text.
    pub eos: Vec<u32>,
    /// Strings that end the text, which excludes them. They may spell special tokens, and lie across tokens.
    pub stop: Vec<String>,
    /// More tokens that end the text, by the caller's wish. The text excludes them.
    pub stop_id: Vec<u32>,
    /// Ends the text from outside, also while the prompt is read.
    pub cancel: Cancel,
    /// The grammar that the text follows, at its start. Where the grammar ends, so does the text.
    pub grammar: Option<Matcher>,
    /// Changes the logits before each token is chosen.
    pub processor: Option<LogitsProcessor>,
    /// Report the probability of every chosen token, and of this number of the most probable ones.
    pub logprobs: Option<usize>,
    /// Report the probabilities that tokens were drawn by: after penalties, grammar, temperature and cuts.
    pub logprobs_as_drawn: bool,
    /// The source of drafts, which save time where they are right. A sequence that decodes beside others, follows a
    /// grammar, has a processor or reports probabilities does without.
    pub draft: Draft,
}

/// The reason why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model chose an end token, or the grammar allows no more.
    Eos,
    /// The requested number of tokens is reached, or the context is full.
    Length,
    /// A stop string was complete.
    StopString,
    /// The model chose a token of [`Request::stop_id`].
    StopId,
    /// The caller asked to stop.
    Cancelled,
}

impl Stop {
    /// Returns the reason's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Stop::Eos => "eos",
            Stop::Length => "length",
            Stop::StopString => "stop_string",
            Stop::StopId => "stop_id",
            Stop::Cancelled => "cancelled",
        }
    }
}

/// A generated text.
#[derive(Clone, Debug)]
pub struct Generation {
    /// The tokens, an end token or stop token included.
    pub ids: Vec<u32>,
    /// Tokens that were drafted.
    pub drafted: usize,
    /// Drafted tokens that were accepted.
    pub accepted: usize,
    /// Their probabilities, if the request asked for them.
    pub logprobs: Vec<TokenLogprobs>,
    /// Their text, without special tokens and without the stop string.
    pub text: String,
    /// Why it ended.
    pub stop: Stop,
    /// The stop string that ended it, if one did.
    pub stop_string: Option<String>,
    /// Prompt tokens that prefill went through.
    pub prompt_tokens: usize,
    /// Prompt tokens whose keys and values came from another sequence.
    pub cached_tokens: usize,
    /// Time until the first token's logits.
    pub prefill: Duration,
    /// Time from there to the end.
    pub decode: Duration,
}

impl Generation {
    /// Returns the text of a request that was cancelled before it began.
    pub(crate) fn unstarted() -> Self {
        Generation {
            ids: Vec::new(),
            drafted: 0,
            accepted: 0,
            logprobs: Vec::new(),
            text: String::new(),
            stop: Stop::Cancelled,
            stop_string: None,
            prompt_tokens: 0,
            cached_tokens: 0,
            prefill: Duration::ZERO,
            decode: Duration::ZERO,
        }
    }

    /// Returns the prompt tokens per second.
    pub fn prefill_tps(&self) -> f64 {
        self.prompt_tokens as f64 / self.prefill.as_secs_f64()
    }

    /// Returns the tokens per second after the first; 0 if there was no second.
    pub fn decode_tps(&self) -> f64 {
        self.ids.len().saturating_sub(1) as f64 / self.decode.as_secs_f64()
    }
}

/// One sequence of a model. Each continuation of it runs to its end.
#[derive(Debug)]
pub struct Generator<'m> {
    model: &'m Model,
    tokenizer: &'m Tokenizer,
    sequence: Sequence,
}

impl<'m> Generator<'m> {
    /// Starts an empty sequence of at most `context` tokens.
    ///
    /// # Errors
    /// Those of [`Model::new_state`].
    pub fn new(model: &'m Model, tokenizer: &'m Tokenizer, context: usize) -> Result<Self> {
        Ok(Generator { model, tokenizer, sequence: Sequence::new(model, context)? })
    }

    /// Returns every token of the sequence.
    pub fn history(&self) -> &[u32] {
        self.sequence.history()
    }

    /// Returns the size of the KV cache in bytes.
    pub fn cache_bytes(&self) -> usize {
        self.sequence.cache_bytes()
    }

    /// Cuts the sequence back to its longest common prefix with `ids`. The KV cache keeps that prefix.
    pub fn rewind_to(&mut self, ids: &[u32]) {
        self.sequence.rewind_to(ids);
    }

    /// Appends `prompt` and then generated tokens to the sequence. `on_text` receives text as it becomes certain, and ends
    /// it by breaking.
    ///
    /// # Errors
    /// Fails if the request is invalid, the prompt is empty or exceeds the context, or the model yields no numbers; the
    /// sequence is then as before, or ends with what was generated.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        request: &Request,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let Generator { model, tokenizer, ref mut sequence } = *self;
        Continuation::new(model, tokenizer, sequence, prompt, request.clone())?.run(model, sequence, on_text)
    }
}
