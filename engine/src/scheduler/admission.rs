//! Admission by the bytes of keys and values.
//!
//! A request is admitted when the most that it can take fits beside what others hold and may still take. So no sequence
//! that runs lacks memory later. Shared pages count once. Without a limit of the user's, a request may always run alone:
//! the system says whether its memory suffices.

use std::collections::HashSet;
use std::ops::Deref;

use super::{Event, Prefixes, Running, Scheduler, Waiting};
use crate::error::{Error, Result};
use crate::generate::{Continuation, Sequence};
use crate::model::Model;
use crate::session::Session;

/// Returns the bytes of all pages that `sequences` hold, and the bytes that they may still take.
pub(super) fn usage<'a>(model: &Model, sequences: impl Iterator<Item = &'a Sequence>) -> (u64, u64) {
    let (mut pages, mut to_come) = (HashSet::new(), 0);
    for sequence in sequences {
        pages.extend(sequence.state.pages());
        to_come += sequence.state.bytes_to_come();
    }
    (pages.len() as u64 * model.cache_bytes(1), to_come)
}

impl<S: Deref<Target = Session>> Scheduler<S> {
    /// Admits waiting requests in their order, as long as the next one fits.
    pub(super) fn admit(&mut self, events: &mut Vec<Event>) {
        while self.running.len() < self.options.parallel.max(1) && !self.full {
            let Some(waiting) = self.waiting.pop_front() else { break };
            match self.start(&waiting) {
                Ok(Some(running)) => self.running.push(running),
                Ok(None) => {
                    self.waiting.push_front(waiting);
                    self.full = true;
                }
                Err(error) => self.fail(waiting.id, error, events),
            }
        }
    }

    /// Starts a request with the longest prefix that it can share, and drops kept prefixes that are in its way. Returns none
    /// if it must wait until others have ended.
    fn start(&mut self, waiting: &Waiting) -> Result<Option<Running>> {
        let Waiting { id, prompt, request, .. } = waiting;
        let model = self.session.model();
        let tokens = model.context_for(prompt.len().saturating_add(request.max_tokens));
        let bytes = model.cache_bytes(tokens);
        if self.options.kv_bytes.is_some() && bytes > self.kv_bytes {
            return Err(Error::CacheExceeded { tokens, bytes, most: self.kv_bytes });
        }
        let mut sequence = loop {
            match Sequence::new(model, tokens) {
                // The machine has less memory than the scheduler may use.
                Err(Error::OutOfMemory { .. }) if self.prefixes.drop_oldest() => {}
                Err(Error::OutOfMemory { .. }) if !self.running.is_empty() => return Ok(None),
                outcome => break outcome?,
            }
        };
        let continuation =
            Continuation::new(model, self.session.tokenizer(), &mut sequence, prompt, request.clone())?;
        self.running.iter().for_each(|running| sequence.share_prefix(&running.sequence));
        self.prefixes.share(&mut sequence);

        let fits = |kept: Option<&Prefixes>| {
            let running = self.running.iter().map(|running| &running.sequence).chain([&sequence]);
            let (held, to_come) = usage(model, running.chain(kept.into_iter().flat_map(Prefixes::iter)));
            held.saturating_add(to_come) <= self.kv_bytes
        };
        let alone = self.options.kv_bytes.is_none() && self.running.is_empty();
        if !alone && !fits(None) {
            return Ok(None);
        }
        while !fits(Some(&self.prefixes)) && self.prefixes.drop_oldest() {}
        Ok(Some(Running { id: *id, sequence, continuation }))
    }
}
