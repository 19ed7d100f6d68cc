//! The state of a sequence: its KV cache and its latest logits.

use super::attention::{Gathered, SEGMENT};
use super::cache::KvCache;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::runtime::CacheType;
use tercet_formats::config::{Config, Rope};

/// One sequence: its KV cache, and the logits of its latest tokens.
#[derive(Debug)]
pub struct State {
    /// Tokens whose keys and values are cached.
    pub(super) position: usize,
    pub(super) cache: KvCache,
    pub(super) rotary: Rotary,
    /// Attention sums of one token's queries, KV head × segment.
    pub(super) segments: Vec<Gathered>,
    /// Logits of the last call, positions × vocabulary.
    pub(super) logits: Vec<f32>,
    pub(super) cancel: Cancel,
}

impl State {
    /// Returns an empty sequence with room for `context` tokens.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) if the system refuses the memory.
    pub(super) fn new(config: &Config, cache: CacheType, context: usize) -> Result<Self> {
        let (group, segments) = (config.heads / config.kv_heads, config.kv_heads * context.div_ceil(SEGMENT));
        Ok(State {
            position: 0,
            cache: KvCache::new(config, cache, context)?,
            rotary: Rotary::new(&config.rope, config.head_dim, context),
            segments: vec![Gathered::new(group, config.head_dim); segments],
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

    /// Returns the bytes of the KV cache.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Returns the logits of the latest call, positions × vocabulary.
    pub(crate) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    /// Replaces this sequence by the first `positions` tokens of `other`, a sequence of the same model.
    ///
    /// # Panics
    /// If `other` or this sequence's context is shorter than `positions`.
    pub(crate) fn copy_prefix(&mut self, other: &State, positions: usize) {
        assert!(positions <= other.position && positions <= self.context(), "the prefix does not fit");
        self.cache.copy_prefix(&other.cache, positions);
        self.position = positions;
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

/// Cosines and sines of position · frequency, in f32 as transformers computes them.
#[derive(Debug)]
pub(super) struct Rotary {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    fn new(rope: &Rope, head_dim: usize, context: usize) -> Self {
        let (frequencies, factor) = (rope.frequencies(head_dim), rope.attention_factor());
        let angles = (0..context).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        let turn = |angle| (libm::cosf(angle) * factor, libm::sinf(angle) * factor);
        let (cos, sin) = angles.map(turn).unzip();
        Rotary { half: head_dim / 2, cos, sin }
    }

    /// Returns the cosines and sines at `position`, head_dim / 2 of each.
    pub(super) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let start = position * self.half;
        (&self.cos[start..][..self.half], &self.sin[start..][..self.half])
    }
}
