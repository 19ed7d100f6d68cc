//! From a prompt to text, token by token.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::model::{Logits, Model, State};
use crate::sampler::{Sampler, SamplerOptions};
use crate::stop::{Progress, StopMatcher};
use crate::tokenizer::Tokenizer;

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

/// One sequence of a model: what was said so far stays in the key and value cache.
#[derive(Debug)]
pub struct Generator<'m> {
    model: &'m Model,
    tokenizer: &'m Tokenizer,
    state: State,
    /// Every token of the sequence; the last may not have been through the model yet.
    history: Vec<u32>,
}

impl<'m> Generator<'m> {
    /// An empty sequence of at most `context` tokens.
    ///
    /// # Errors
    /// Those of [`Model::new_state`].
    pub fn new(model: &'m Model, tokenizer: &'m Tokenizer, context: usize) -> Result<Self> {
        Ok(Generator { model, tokenizer, state: model.new_state(context)?, history: Vec::new() })
    }

    /// Every token of the sequence.
    pub fn history(&self) -> &[u32] {
        &self.history
    }

    /// Size of the key and value cache.
    pub fn cache_bytes(&self) -> usize {
        self.state.cache_bytes()
    }

    /// Makes `ids` the sequence and keeps what the cache already holds of its beginning.
    pub fn rewind_to(&mut self, ids: &[u32]) {
        let common = self.history.iter().zip(ids).take_while(|(a, b)| a == b).count();
        self.history.truncate(common);
        self.state.truncate(common.min(self.state.position()));
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
        let mut sampler = Sampler::new(request.sampler.clone())?;
        let mut text = TextStream::new(self.tokenizer, &request.stop)?;
        let mut ids = Vec::new();

        let context = self.state.context();
        let start = Instant::now();
        let pending = self.state.position()..self.history.len() + prompt.len();
        self.history.extend_from_slice(prompt);
        let fed = &self.history[pending.clone()];
        let candidates = sampler.candidates(&self.history);
        let mut logits = match self.model.forward(&mut self.state, fed, Logits::Candidates(candidates)) {
            Ok(logits) => logits,
            Err(error) => {
                self.history.truncate(self.history.len() - prompt.len());
                return Err(error);
            }
        };
        let prefill = start.elapsed();

        let start = Instant::now();
        let stop = loop {
            if ids.len() == request.max_tokens {
                break Stop::Length;
            }
            let id = sampler.sample(logits, &self.history);
            if !logits[id as usize].is_finite() {
                return Err(not_numbers(self.model));
            }
            self.history.push(id);
            ids.push(id);
            if request.eos.contains(&id) {
                break Stop::Eos;
            }
            match text.push(id, &mut on_text)? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(stop) => break stop,
            }
            if self.history.len() > context {
                break Stop::Length;
            }
            if ids.len() < request.max_tokens {
                let candidates = sampler.candidates(&self.history);
                logits = self.model.forward(&mut self.state, &[id], Logits::Candidates(candidates))?;
            }
        };
        let (text, stop) = text.finish(stop, &mut on_text)?;
        let decode = start.elapsed();
        Ok(Generation { ids, text, stop, prompt_tokens: pending.len(), prefill, decode })
    }
}

fn not_numbers(model: &Model) -> Error {
    Error::malformed(
        model.name(),
        "logits",
        "the model yields no numbers",
        "its file is damaged: download it again",
    )
}

/// The way from tokens to the caller's text.
struct TextStream<'t> {
    decoder: crate::tokenizer::StreamDecoder<'t>,
    stops: StopMatcher,
    text: String,
}

impl<'t> TextStream<'t> {
    fn new(tokenizer: &'t Tokenizer, stops: &[String]) -> Result<Self> {
        let stops = StopMatcher::new(stops.iter().cloned())?;
        Ok(TextStream { decoder: tokenizer.stream(true), stops, text: String::new() })
    }

    fn push(
        &mut self,
        id: u32,
        on_text: &mut impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<Stop>> {
        let piece = self.decoder.push(id)?;
        Ok(self.pass(&piece, on_text))
    }

    fn pass(&mut self, piece: &str, on_text: &mut impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<Stop> {
        let (shown, stopped) = match self.stops.push(piece) {
            Progress::Continue(shown) => (shown, false),
            Progress::Stopped(shown) => (shown, true),
        };
        self.text.push_str(&shown);
        if !shown.is_empty() && on_text(&shown).is_break() {
            return ControlFlow::Break(Stop::Cancelled);
        }
        if stopped { ControlFlow::Break(Stop::StopString) } else { ControlFlow::Continue(()) }
    }

    /// Hands on what was withheld, unless the text was cut, and returns the whole text and why it ended.
    fn finish(
        mut self,
        stop: Stop,
        on_text: &mut impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(String, Stop)> {
        if matches!(stop, Stop::StopString | Stop::Cancelled) {
            return Ok((self.text, stop));
        }
        let rest = self.decoder.clone().finish()?;
        let stop = self.pass(&rest, on_text).break_value().unwrap_or(stop);
        let withheld = self.stops.finish();
        if !withheld.is_empty() {
            self.text.push_str(&withheld);
            // The text is over: there is nothing left to stop.
            let _ = on_text(&withheld);
        }
        Ok((self.text, stop))
    }
}
