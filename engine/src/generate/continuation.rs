//! Generates step by step, so that callers decide what happens between tokens.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::draft::Drafter;
use super::guide::Guide;
use super::logprobs::TokenLogprobs;
use super::text::TextStream;
use super::{Generation, Request, Sequence, Stop};
use crate::error::{Error, Result};
use crate::model::{BATCH, Candidates, Logits, Model, Rule};
use crate::sampler::Sampler;
use crate::tokenizer::Tokenizer;

/// The result of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The chosen tokens: none while the prompt is read, several where a draft was accepted.
    pub ids: Vec<u32>,
    /// The text that is now certain.
    pub text: String,
    /// The probabilities of the chosen tokens, if the request asks for them.
    pub logprobs: Vec<TokenLogprobs>,
}

/// A text in the making. It belongs to the sequence that it was made for.
#[derive(Debug)]
pub struct Continuation {
    request: Request,
    sampler: Sampler,
    guide: Option<Guide>,
    drafter: Option<Drafter>,
    text: TextStream,
    ids: Vec<u32>,
    logprobs: Vec<TokenLogprobs>,
    stop: Option<Stop>,
    /// Tokens that were pending at the start.
    pending: usize,
    cached_tokens: usize,
    start: Instant,
    /// Time until the first token's logits, once they are there.
    prefill: Option<Duration>,
}

impl Continuation {
    /// Appends `prompt` to the sequence. Steps then continue it as `request` says.
    ///
    /// # Errors
    /// Fails if the request is invalid, or the prompt is empty, exceeds the context or is not of this model. The sequence
    /// is then as before.
    pub fn new(
        model: &Model,
        tokenizer: &Tokenizer,
        sequence: &mut Sequence,
        prompt: &[u32],
        request: Request,
    ) -> Result<Self> {
        let sampler = Sampler::new(request.sampler.clone())?;
        let guide = request.grammar.as_ref().map(|matcher| Guide::new(matcher, &request.eos)).transpose()?;
        // A grammar needs the tokens before to say what may follow. Probabilities and processors need whole logits.
        let whole_logits = request.logprobs.is_some() || request.processor.is_some();
        let drafter = Drafter::new(&request.draft).filter(|_| guide.is_none() && !whole_logits);
        let history = [&sequence.history, prompt].concat();
        let text = TextStream::new(tokenizer, &history, &request.stop)?;
        let vocabulary = model.config().vocab_size;
        if let Some(id) = request.stop_id.iter().find(|&&id| id as usize >= vocabulary) {
            let problem = format!("token {id} is outside the vocabulary of {vocabulary}");
            return Err(Error::bad_argument("stop_id", problem, "use ids of this model's tokenizer"));
        }
        let pending = [sequence.pending(), prompt].concat();
        model.check(&sequence.state, &pending)?;
        sequence.history = history;
        sequence.cached = 0;
        sequence.state.set_cancel(request.cancel.clone());
        sequence.follow(&request);
        Ok(Continuation {
            request,
            sampler,
            text,
            ids: Vec::new(),
            logprobs: Vec::new(),
            stop: guide.as_ref().is_some_and(Guide::has_ended).then_some(Stop::Eos),
            guide,
            drafter,
            pending: pending.len(),
            cached_tokens: 0,
            start: Instant::now(),
            prefill: None,
        })
    }

    /// Runs to the end. `on_text` receives text as it becomes certain, and ends it by breaking.
    ///
    /// # Errors
    /// Those of [`Continuation::step`].
    pub fn run(
        mut self,
        model: &Model,
        sequence: &mut Sequence,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        while let Some(step) = self.step(model, sequence)? {
            if !step.text.is_empty() && on_text(&step.text).is_break() {
                self.cancel();
            }
        }
        Ok(self.finish())
    }

    /// Reads a part of the prompt or generates a token. Returns none once the text has ended, also in the midst of a part if
    /// the request is cancelled.
    ///
    /// # Errors
    /// Fails if the model yields no numbers or the tokenizer cannot decode.
    pub fn step(&mut self, model: &Model, sequence: &mut Sequence) -> Result<Option<Step>> {
        if self.stop.is_some() {
            return Ok(None);
        }
        let outcome = self.advance(model, sequence);
        self.heed(outcome)
    }

    fn advance(&mut self, model: &Model, sequence: &mut Sequence) -> Result<Step> {
        if sequence.pending().len() > BATCH {
            self.read(model, sequence, BATCH)?;
            return Ok(Step::default());
        }
        let (decodes, begun) = (sequence.pending().len() == 1, Instant::now());
        let draft = if decodes { self.draft(model, sequence) } else { Vec::new() };
        // A pass without a draft is timed alone.
        let begun = if draft.is_empty() { Instant::now() } else { begun };
        let step = match draft.is_empty() {
            true => self.advance_one(model, sequence)?,
            false => self.check(model, sequence, &draft)?,
        };
        if let Some(drafter) = self.drafter.as_mut().filter(|_| decodes) {
            drafter.learn(draft.len(), &step.ids, begun.elapsed());
        }
        Ok(step)
    }

    /// Reads the pending tokens and chooses one.
    fn advance_one(&mut self, model: &Model, sequence: &mut Sequence) -> Result<Step> {
        let Sequence { state, history, .. } = sequence;
        let pending = &history[state.position()..];
        model.forward(state, pending, Logits::Candidates(self.candidates(history)))?;
        self.accept(model, sequence)
    }

    /// Returns tokens that may follow the sequence, or none.
    fn draft(&mut self, model: &Model, sequence: &mut Sequence) -> Vec<u32> {
        let Some(drafter) = &mut self.drafter else { return Vec::new() };
        let Sequence { state, history, follower, .. } = sequence;
        let room = state.context().saturating_sub(history.len());
        let most = room.min(self.request.max_tokens.saturating_sub(self.ids.len() + 1));
        let mut draft = drafter.propose(history, follower.as_mut(), most);
        // The embedding of a draft model may have more rows.
        let known = draft.iter().take_while(|&&id| (id as usize) < model.config().vocab_size).count();
        draft.truncate(known);
        draft
    }

    /// Reads the pending token and a draft in one pass, and keeps the drafted tokens that the sampler chooses.
    fn check(&mut self, model: &Model, sequence: &mut Sequence, draft: &[u32]) -> Result<Step> {
        let tokens = [sequence.pending(), draft].concat();
        let candidates = self.candidates(&sequence.history);
        // Penalties fall on drafted tokens, too.
        let always = [candidates.always, draft].concat();
        let wanted = vec![Candidates { always: &always, ..candidates }; tokens.len()];
        model.forward(&mut sequence.state, &tokens, Logits::LastCandidates(&wanted))?;
        let outcome = self.accept_draft(model, sequence, draft);
        // The last token of the sequence is always pending.
        let Sequence { state, history, .. } = sequence;
        state.truncate(state.position().min(history.len() - 1));
        outcome
    }

    /// Ends the text if the request is cancelled.
    pub(crate) fn heed_cancel(&mut self) {
        if self.stop.is_none() && self.request.cancel.is_cancelled() {
            self.cancel();
        }
    }

    /// Ends the text if the request was cancelled in the midst of a forward pass; there is no outcome then.
    fn heed<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Err(Error::Cancelled) => {
                self.cancel();
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
    }

    /// Reads at most `tokens` tokens of the prompt, but not its last one.
    pub(crate) fn read(&mut self, model: &Model, sequence: &mut Sequence, tokens: usize) -> Result<()> {
        let Sequence { state, history, .. } = sequence;
        let unread = &history[state.position()..history.len() - 1];
        let part = &unread[..tokens.min(unread.len())];
        if !part.is_empty() {
            let outcome = model.forward(state, part, Logits::None).map(|_| ());
            self.heed(outcome)?;
        }
        Ok(())
    }

    /// Returns the tokens whose logits decide the next choice.
    pub(crate) fn candidates<'a>(&'a mut self, history: &'a [u32]) -> Candidates<'a> {
        // Every logit counts in the sum of the probabilities, and a processor may look at all.
        if self.request.logprobs.is_some() || self.request.processor.is_some() {
            return Candidates::by(Rule::Within(f32::INFINITY));
        }
        Candidates { allowed: self.guide.as_ref().map(Guide::mask), ..self.sampler.candidates(history) }
    }

    /// Chooses the next token of the sequence by the logits that its state holds, and appends the tokens that must follow it
    /// by the grammar. The model reads these in one pass.
    pub(crate) fn accept(&mut self, model: &Model, sequence: &mut Sequence) -> Result<Step> {
        self.accept_draft(model, sequence, &[])
    }

    /// Chooses tokens by the logits that the state holds, one row each, as long as the choices are those of the draft.
    fn accept_draft(&mut self, model: &Model, sequence: &mut Sequence, draft: &[u32]) -> Result<Step> {
        self.cached_tokens = sequence.cached;
        let Sequence { state, history, .. } = sequence;
        let (context, start) = (state.context(), self.start);
        self.prefill.get_or_insert_with(|| start.elapsed());
        let (mut step, mut drafted) = (Step::default(), draft.iter());
        self.heed_length(history, context);
        for logits in state.logits_mut().chunks_exact_mut(model.config().vocab_size) {
            if self.stop.is_some() {
                break;
            }
            let raw =
                self.request.logprobs.filter(|_| !self.request.logprobs_as_drawn).map(|_| logits.to_vec());
            let id = self.choose(model, logits, history)?;
            self.append(id, history, &mut step)?;
            step.logprobs.extend(self.request.logprobs.map(|alternatives| match raw {
                Some(raw) => TokenLogprobs::new(id, &raw, alternatives),
                None => self.sampler.logprobs(id, alternatives),
            }));
            self.logprobs.extend_from_slice(&step.logprobs);
            self.heed_length(history, context);
            if drafted.next() != Some(&id) {
                break;
            }
        }
        // Probabilities need the logits at every token.
        while self.stop.is_none()
            && self.request.logprobs.is_none()
            && let Some(id) = self.guide.as_ref().and_then(Guide::forced)
        {
            self.sampler.pass(history);
            self.append(id, history, &mut step)?;
            self.heed_length(history, context);
        }
        if matches!(self.stop, Some(Stop::Eos | Stop::StopId | Stop::Length)) {
            let (rest, stopped) = self.text.flush()?;
            step.text.push_str(&rest);
            if stopped {
                self.stop = Some(Stop::StopString);
            }
        }
        Ok(step)
    }

    /// Returns the token that follows `history`.
    fn choose(&mut self, model: &Model, logits: &mut [f32], history: &[u32]) -> Result<u32> {
        if let Some(id) = self.guide.as_ref().and_then(Guide::forced) {
            self.sampler.pass(history);
            return Ok(id);
        }
        self.sampler.adjust(logits, history);
        if let Some(processor) = &self.request.processor {
            processor.process(history, logits)?;
        }
        if let Some(guide) = &self.guide {
            guide.restrict(logits);
        }
        let id = self.sampler.pick(logits);
        match logits[id as usize].is_finite() {
            true => Ok(id),
            false if self.request.processor.is_some() => {
                let problem = "it leaves no token that may follow";
                Err(Error::bad_argument("logits_processor", problem, "leave at least one logit a number"))
            }
            false => Err(model.yields_no_numbers()),
        }
    }

    /// Appends a token to the sequence, and ends the text if the token does.
    fn append(&mut self, id: u32, history: &mut Vec<u32>, step: &mut Step) -> Result<()> {
        history.push(id);
        self.ids.push(id);
        step.ids.push(id);
        if self.request.stop_id.contains(&id) {
            self.stop = Some(Stop::StopId);
        } else if self.request.eos.contains(&id) {
            self.stop = Some(Stop::Eos);
        } else {
            let (text, stopped) = self.text.push(id)?;
            step.text.push_str(&text);
            self.stop = stopped.then_some(Stop::StopString);
        }
        if let Some(guide) = self.guide.as_mut().filter(|_| self.stop.is_none()) {
            guide.accept(id)?;
            self.stop = guide.has_ended().then_some(Stop::Eos);
        }
        Ok(())
    }

    fn heed_length(&mut self, history: &[u32], context: usize) {
        if self.stop.is_none() && (self.ids.len() >= self.request.max_tokens || history.len() > context) {
            self.stop = Some(Stop::Length);
        }
    }

    /// Makes drafts wherever there is a match.
    #[cfg(test)]
    pub(super) fn draft_eagerly(&mut self) {
        self.drafter = self.drafter.take().map(Drafter::eager);
    }

    /// Returns the tokens so far, an end token included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Returns why the text ended, once it has.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Ends the text where it is.
    pub fn cancel(&mut self) {
        self.stop = Some(Stop::Cancelled);
    }

    /// Returns what was generated so far.
    pub fn finish(self) -> Generation {
        let elapsed = self.start.elapsed();
        let prefill = self.prefill.unwrap_or(elapsed);
        let (text, stop_string) = self.text.finish();
        let (drafted, accepted) = self.drafter.map_or((0, 0), |drafter| (drafter.drafted, drafter.accepted));
        Generation {
            ids: self.ids,
            drafted,
            accepted,
            logprobs: self.logprobs,
            text,
            stop: self.stop.unwrap_or(Stop::Cancelled),
            stop_string,
            prompt_tokens: self.pending - self.cached_tokens,
            cached_tokens: self.cached_tokens,
            prefill,
            decode: elapsed - prefill,
        }
    }
}
