//! The passes of a round: one token of every text, and a part of one prompt.

use std::ops::Deref;
use std::time::Instant;

use super::{Event, Running, Scheduler};
use crate::generate::{Sequence, Step};
use crate::model::BATCH;
use crate::session::Session;

impl<S: Deref<Target = Session>> Scheduler<S> {
    /// Decodes a token of every sequence that has one token left to read. They share every read of the weights.
    pub(super) fn decode(&mut self, events: &mut Vec<Event>) {
        let model = self.session.model();
        let mut outcomes = Vec::new();
        let mut decoding: Vec<&mut Running> =
            self.running.iter_mut().filter(|running| running.decodes()).collect();
        decoding.retain(|running| {
            let checked = model.check(&running.sequence.state, running.sequence.pending());
            checked.map_err(|error| outcomes.push((running.id, Err(error)))).is_ok()
        });
        // A pass over a single text may check a draft.
        if let [Running { id, sequence, continuation }] = &mut decoding[..] {
            outcomes.push((*id, continuation.step(model, sequence).map(Option::unwrap_or_default)));
            decoding.clear();
        }
        for batch in decoding.chunks_mut(BATCH) {
            let (mut states, mut tokens, mut candidates) = (Vec::new(), Vec::new(), Vec::new());
            for Running { sequence: Sequence { state, history, .. }, continuation, .. } in batch.iter_mut() {
                tokens.push(history[state.position()]);
                candidates.push(continuation.candidates(history));
                states.push(state);
            }
            let shared = model.forward_each(&mut states, &tokens, &candidates).is_ok();
            for Running { id, sequence, continuation } in batch.iter_mut() {
                continuation.heed_cancel();
                if continuation.stop().is_some() {
                    continue;
                }
                // If the shared pass fails, each sequence fails or goes on by itself.
                outcomes.push((
                    *id,
                    match shared {
                        true => continuation.accept(model, sequence),
                        false => continuation.step(model, sequence).map(Option::unwrap_or_default),
                    },
                ));
            }
        }
        for (id, outcome) in outcomes {
            self.report(id, outcome, events);
        }
    }

    /// Reads a part of the earliest prompt that is not read yet, so that the round that began at `start` ends in time.
    pub(super) fn read_prompt(&mut self, start: Instant, events: &mut Vec<Event>) {
        let Some(at) = self.running.iter().position(Running::reads_prompt) else { return };
        self.share_prefix(at);
        let begun = self.pace.now();
        let part = match self.options.round_time {
            Some(time) if self.running.iter().any(Running::decodes) => {
                self.pace.part(time.saturating_sub(begun - start))
            }
            _ => BATCH,
        };
        let before = self.running[at].sequence.read().len();
        let Running { id, sequence, continuation } = &mut self.running[at];
        let (id, model) = (*id, self.session.model());
        // The last part chooses the first token, as a lone request does.
        let outcome = match sequence.pending().len() > part {
            true => continuation.read(model, sequence, part).map(|()| Step::default()),
            false => continuation.step(model, sequence).map(Option::unwrap_or_default),
        };
        let read = self.running[at].sequence.read().len() - before;
        self.pace.learn(read, self.pace.now() - begun);
        self.report(id, outcome, events);
    }

    /// Shares the longest prefix that another sequence has read by now, if the model has read nothing else of this one.
    fn share_prefix(&mut self, at: usize) {
        let (before, rest) = self.running.split_at_mut(at);
        let Some((Running { sequence, .. }, after)) = rest.split_first_mut() else { return };
        if sequence.read().len() == sequence.cached() {
            before.iter().chain(&*after).for_each(|running| sequence.share_prefix(&running.sequence));
            self.prefixes.share(sequence);
        }
    }
}
