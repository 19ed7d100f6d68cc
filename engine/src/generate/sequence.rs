//! The tokens of one sequence.

use super::Request;
use super::draft::{Draft, Follower};
use crate::error::Result;
use crate::model::{Model, State};

/// The tokens of one sequence, with their keys and values.
#[derive(Debug)]
pub struct Sequence {
    pub(crate) state: State,
    /// Every token of the sequence. The model may not have read the latest ones yet.
    pub(crate) history: Vec<u32>,
    /// Tokens whose keys and values are shared with another sequence.
    pub(super) cached: usize,
    /// The draft model's sequence, if the latest continuation has such a model.
    pub(super) follower: Option<Follower>,
}

impl Sequence {
    /// Starts an empty sequence of at most `context` tokens.
    ///
    /// # Errors
    /// Those of [`Model::new_state`].
    pub fn new(model: &Model, context: usize) -> Result<Self> {
        Ok(Sequence { state: model.new_state(context)?, history: Vec::new(), cached: 0, follower: None })
    }

    /// Starts an empty sequence with room for `prompt` and its continuation, as far as the model allows.
    ///
    /// # Errors
    /// Those of [`Model::new_state`].
    pub fn for_request(model: &Model, prompt: &[u32], request: &Request) -> Result<Self> {
        Self::new(model, model.context_for(prompt.len().saturating_add(request.max_tokens)))
    }

    /// Returns the length of the longest prefix of this sequence that `other` has read. At least the last token is not part
    /// of it, because the model must read that one: the next one is chosen by its logits.
    pub(crate) fn common_prefix(&self, other: &Sequence) -> usize {
        let common = self.history.iter().zip(other.read()).take_while(|(a, b)| a == b).count();
        common.min(self.history.len().saturating_sub(1))
    }

    /// Shares the keys and values of the [common prefix](Sequence::common_prefix) with `other`, unless this sequence has more.
    pub(crate) fn share_prefix(&mut self, other: &Sequence) {
        let common = self.common_prefix(other);
        if common > self.state.position() {
            self.state.share_prefix(&other.state, common);
            self.cached = self.state.position();
        }
    }

    /// Prepares the draft model's sequence for a continuation. Another sequence of the same model goes on.
    pub(super) fn follow(&mut self, request: &Request) {
        let (before, context) = (self.follower.take(), self.state.context());
        if let Draft::Model(draft) = &request.draft {
            let resumed = before.and_then(|follower| follower.resume(draft, &request.cancel));
            self.follower = resumed.or_else(|| Some(Follower::new(draft, context, &request.cancel)));
        }
    }

    /// Gives up the memory that only a sequence that grows needs.
    pub(crate) fn freeze(&mut self) {
        self.follower = None;
        self.history.truncate(self.state.position());
        self.state.freeze();
    }

    /// Returns the tokens whose keys and values are shared with another sequence.
    pub(crate) fn cached(&self) -> usize {
        self.cached
    }

    /// Returns the tokens that the model has read.
    pub(crate) fn read(&self) -> &[u32] {
        &self.history[..self.state.position()]
    }

    /// Returns every token of the sequence.
    pub fn history(&self) -> &[u32] {
        &self.history
    }

    /// Returns the size of the KV cache in bytes.
    pub fn cache_bytes(&self) -> usize {
        self.state.cache_bytes()
    }

    /// Cuts the sequence back to its longest common prefix with `ids`. The KV cache keeps that prefix.
    pub fn rewind_to(&mut self, ids: &[u32]) {
        let common = self.history.iter().zip(ids).take_while(|(a, b)| a == b).count();
        self.history.truncate(common);
        self.state.truncate(common.min(self.state.position()));
    }

    /// Returns the tokens that the model has not read yet.
    pub(crate) fn pending(&self) -> &[u32] {
        &self.history[self.state.position()..]
    }
}
