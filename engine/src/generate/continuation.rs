//! A continuation step by step, so that its caller decides what happens between tokens.

use std::time::{Duration, Instant};

use super::text::TextStream;
use super::{Generation, Request, Stop};
use crate::error::{Error, Result};
use crate::model::{BATCH, Candidates, Logits, Model, State};
use crate::sampler::Sampler;
use crate::tokenizer::Tokenizer;

/// The tokens of one sequence: what was said so far stays in the key and value cache.
#[derive(Debug)]
pub struct Sequence {
    pub(super) state: State,
    /// Every token of the sequence; the latest may not have been through the model yet.
    pub(super) history: Vec<u32>,
}

impl Sequence {
    /// An empty sequence of at most `context` tokens.
    ///
    /// # Errors
    /// Those of [`Model::new_state`].
    pub fn new(model: &Model, context: usize) -> Result<Self> {
        Ok(Sequence { state: model.new_state(context)?, history: Vec::new() })
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

    /// Tokens that the cache does not hold yet.
    fn pending(&self) -> &[u32] {
        &self.history[self.state.position()..]
    }
}

/// What a step led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The token that was chosen; none while the prompt is read.
    pub id: Option<u32>,
    /// The text that is now certain.
    pub text: String,
}

/// A continuation under way. It belongs to the sequence that it was made for.
#[derive(Debug)]
pub struct Continuation {
    request: Request,
    sampler: Sampler,
    text: TextStream,
    ids: Vec<u32>,
    stop: Option<Stop>,
    prompt_tokens: usize,
    start: Instant,
    /// Time until the first token's logits, once they are there.
    prefill: Option<Duration>,
}

impl Continuation {
    /// Appends `prompt` to the sequence, to be continued as `request` says.
    ///
    /// # Errors
    /// Fails if the request is invalid, or the prompt is empty, exceeds the context or is not of this model; the sequence
    /// is then as before.
    pub fn new(
        model: &Model,
        tokenizer: &Tokenizer,
        sequence: &mut Sequence,
        prompt: &[u32],
        request: Request,
    ) -> Result<Self> {
        let sampler = Sampler::new(request.sampler.clone())?;
        let text = TextStream::new(tokenizer, &request.stop)?;
        let pending = [sequence.pending(), prompt].concat();
        model.check(&sequence.state, &pending)?;
        sequence.history.extend_from_slice(prompt);
        let (prompt_tokens, start) = (pending.len(), Instant::now());
        Ok(Continuation {
            request,
            sampler,
            text,
            ids: Vec::new(),
            stop: None,
            prompt_tokens,
            start,
            prefill: None,
        })
    }

    /// Reads a part of the prompt or generates a token; none once the text has ended.
    ///
    /// # Errors
    /// Fails if the model yields no numbers or the tokenizer cannot decode.
    pub fn step(&mut self, model: &Model, sequence: &mut Sequence) -> Result<Option<Step>> {
        if self.stop.is_some() {
            return Ok(None);
        }
        let Sequence { state, history } = sequence;
        let pending = &history[state.position()..];
        if pending.len() > BATCH {
            model.forward(state, &pending[..BATCH], Logits::None)?;
            return Ok(Some(Step::default()));
        }
        model.forward(state, pending, Logits::Candidates(self.candidates(history)))?;
        self.accept(model, sequence).map(Some)
    }

    /// Whether the next step takes one token through the model.
    pub(super) fn awaits_one_token(&self, sequence: &Sequence) -> bool {
        self.stop.is_none() && sequence.pending().len() == 1
    }

    /// Whose logits the next token's choice will look at.
    pub(super) fn candidates<'h>(&self, history: &'h [u32]) -> Candidates<'h> {
        self.sampler.candidates(history)
    }

    /// Chooses the next token of the sequence by the logits that its state holds.
    pub(super) fn accept(&mut self, model: &Model, sequence: &mut Sequence) -> Result<Step> {
        let Sequence { state, history } = sequence;
        let (context, logits) = (state.context(), state.logits_mut());
        let start = self.start;
        self.prefill.get_or_insert_with(|| start.elapsed());
        let mut step = Step::default();
        if self.request.max_tokens > 0 {
            let id = self.sampler.sample(logits, history);
            if !logits[id as usize].is_finite() {
                return Err(not_numbers(model));
            }
            history.push(id);
            self.ids.push(id);
            step.id = Some(id);
            if self.request.eos.contains(&id) {
                self.stop = Some(Stop::Eos);
            } else {
                let (text, stopped) = self.text.push(id)?;
                step.text = text;
                self.stop = stopped.then_some(Stop::StopString);
            }
        }
        if self.stop.is_none() && (self.ids.len() >= self.request.max_tokens || history.len() > context) {
            self.stop = Some(Stop::Length);
        }
        if matches!(self.stop, Some(Stop::Eos | Stop::Length)) {
            let (rest, stopped) = self.text.flush()?;
            step.text.push_str(&rest);
            if stopped {
                self.stop = Some(Stop::StopString);
            }
        }
        Ok(step)
    }

    /// The tokens so far, an end token included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Why the text ended, once it has.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Ends the text where it is.
    pub fn cancel(&mut self) {
        self.stop = Some(Stop::Cancelled);
    }

    /// What was generated so far.
    pub fn finish(self) -> Generation {
        let elapsed = self.start.elapsed();
        let prefill = self.prefill.unwrap_or(elapsed);
        Generation {
            ids: self.ids,
            text: self.text.into_text(),
            stop: self.stop.unwrap_or(Stop::Cancelled),
            prompt_tokens: self.prompt_tokens,
            prefill,
            decode: elapsed - prefill,
        }
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
