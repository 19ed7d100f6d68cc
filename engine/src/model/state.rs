//! The state of a sequence: its KV cache and its latest logits.

use super::cache::KvCache;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::runtime::CacheType;
use tercet_formats::config::Config;

/// One sequence: its KV cache, and the logits of its latest tokens.
#[derive(Debug)]
pub struct State {
    /// Tokens whose keys and values are cached.
    pub(super) position: usize,
    pub(super) cache: KvCache,
    /// Logits of the last call, positions × vocabulary.
    pub(super) logits: Vec<f32>,
    pub(super) cancel: Cancel,
}

impl State {
    /// Returns an empty sequence of at most `context` tokens. It takes memory as it grows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) if the system has too little memory for all of them.
    pub(super) fn new(config: &Config, cache: CacheType, context: usize) -> Result<Self> {
        Ok(State {
            position: 0,
            cache: KvCache::new(config, cache, context)?,
            logits: Vec::new(),
            cancel: Cancel::default(),
        })
    }

    /// Ends the forward passes of this sequence once `cancel` is cancelled.
    pub fn set_cancel(&mut self, cancel: Cancel) {
        self.cancel = cancel;
    }

    /// Returns the number of tokens in the sequence.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Returns the most tokens that the sequence can hold.
    pub fn context(&self) -> usize {
        self.cache.context()
    }

    /// Returns the bytes of the KV cache, also of what it shares with other sequences.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Returns the logits of the latest call, positions × vocabulary.
    pub fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    /// Replaces this sequence by the first `positions` tokens of `other`, a sequence of the same model, or by fewer if memory is
    /// short. Both share most of the keys and values.
    ///
    /// # Panics
    /// If `other` or this sequence's context is shorter than `positions`.
    pub(crate) fn share_prefix(&mut self, other: &State, positions: usize) {
        assert!(positions <= other.position && positions <= self.context(), "the prefix does not fit");
        self.position = self.cache.share_prefix(&other.cache, positions);
    }

    /// Returns the identity of each page of the KV cache. Sequences that share a page have the same.
    pub(crate) fn pages(&self) -> Vec<usize> {
        self.cache.pages()
    }

    /// Returns the bytes that the KV cache may still take.
    pub(crate) fn bytes_to_come(&self) -> u64 {
        self.cache.bytes_to_come()
    }

    /// Gives up the logits, and memory of the KV cache that is promised or not used.
    pub(crate) fn freeze(&mut self) {
        self.logits = Vec::new();
        self.cache.freeze(self.position);
    }

    /// Removes the tokens from `position` on.
    ///
    /// # Panics
    /// If the sequence is shorter.
    pub fn truncate(&mut self, position: usize) {
        assert!(position <= self.position, "cannot truncate forwards");
        self.position = position;
    }
}
