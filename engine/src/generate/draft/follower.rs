//! The sequence of a draft model, which follows another sequence.

use std::sync::Arc;

use super::{DraftModel, MOST};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::model::{BATCH, Candidates, Logits, Rule, State};
use crate::sampler::argmax;

/// A sequence of the draft model's own. It takes memory once it makes drafts.
#[derive(Debug)]
pub(in crate::generate) struct Follower {
    draft: DraftModel,
    /// Most tokens: 0 once the model has failed.
    context: usize,
    cancel: Cancel,
    state: Option<State>,
    /// The tokens that the state holds.
    pub(in crate::generate) read: Vec<u32>,
}

impl Follower {
    /// Returns a follower of a sequence of at most `context` tokens, until `cancel` is cancelled.
    pub(in crate::generate) fn new(draft: &DraftModel, context: usize, cancel: &Cancel) -> Self {
        let (context, cancel) = (draft.model.context_for(context), cancel.clone());
        Follower { draft: draft.clone(), context, cancel, state: None, read: Vec::new() }
    }

    /// Returns this follower for a continuation with another `cancel`, or none if it belongs to another draft model.
    pub(in crate::generate) fn resume(mut self, draft: &DraftModel, cancel: &Cancel) -> Option<Self> {
        self.cancel = cancel.clone();
        self.state.iter_mut().for_each(|state| state.set_cancel(cancel.clone()));
        Arc::ptr_eq(&self.draft.model, &draft.model).then_some(self)
    }

    /// Returns the `length` tokens that the model finds best after `history`, fewer at the end of its context. None if it
    /// fails, and while it has to catch up. It then reads a part of the history, unless the text ends within `left` tokens:
    /// that would not pay.
    pub(super) fn propose(&mut self, history: &[u32], length: usize, left: usize) -> Vec<u32> {
        match self.read_on(history, length, left) {
            Ok(draft) => draft,
            // The larger model hears of it, too.
            Err(Error::Cancelled) => Vec::new(),
            // Nobody else needs the draft model.
            Err(_) => {
                (self.context, self.state, self.read) = (0, None, Vec::new());
                Vec::new()
            }
        }
    }

    fn read_on(&mut self, history: &[u32], length: usize, left: usize) -> Result<Vec<u32>> {
        /// Tokens that the model reads in the time that a token of a draft saves, or fewer.
        const READ: usize = 16;
        let Follower { draft: DraftModel { model, .. }, context, cancel, state, read } = self;
        let length = length.min((*context + 1).saturating_sub(history.len()));
        if length == 0 {
            return Ok(Vec::new());
        }
        let state = match state {
            Some(state) => state,
            None => {
                let mut new = model.new_state(*context)?;
                new.set_cancel(cancel.clone());
                state.insert(new)
            }
        };
        let common = history
            .iter()
            .zip(&*read)
            .take_while(|(a, b)| a == b)
            .count()
            .min(history.len().saturating_sub(1));
        read.truncate(common);
        state.truncate(common);
        let unread = &history[common..];
        if unread.len() > MOST + 1 {
            if unread.len() <= READ.saturating_mul(left) {
                let part = &unread[..BATCH.min(unread.len() - 1)];
                model.forward(state, part, Logits::None)?;
                read.extend_from_slice(part);
            }
            return Ok(Vec::new());
        }
        let mut draft = Vec::with_capacity(length);
        model.forward(state, unread, BEST)?;
        read.extend_from_slice(unread);
        loop {
            let (best, _) = argmax(state.logits_mut());
            draft.push(best);
            if draft.len() == length {
                return Ok(draft);
            }
            model.forward(state, &[best], BEST)?;
            read.push(best);
        }
    }
}

const BEST: Logits<'static> = Logits::Candidates(Candidates::by(Rule::Best));
