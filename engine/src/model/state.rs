//! The state of a sequence: its KV cache and its latest logits.

use super::attention::{Gathered, SEGMENT};
use super::cache::KvCache;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::memory;
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
        Ok(State {
            position: 0,
            cache: KvCache::new(config, cache, context)?,
            rotary: Rotary::new(&config.rope, config.head_dim, context)?,
            segments: Vec::new(),
            logits: Vec::new(),
            cancel: Cancel::default(),
        })
    }

    /// Ends the forward passes of this sequence once `cancel` is cancelled.
    pub fn set_cancel(&mut self, cancel: Cancel) {
        self.cancel = cancel;
    }

    /// Prepares the work on positions below `end`. Memory is taken as a sequence grows.
    pub(super) fn reach(&mut self, config: &Config, end: usize) {
        self.rotary.reach(end);
        let (group, segments) = (config.heads / config.kv_heads, config.kv_heads * end.div_ceil(SEGMENT));
        if self.segments.len() < segments {
            self.segments.resize(segments, Gathered::new(group, config.head_dim));
        }
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
    frequencies: Vec<f32>,
    factor: f32,
    half: usize,
    /// Of the positions reached so far, with room for all.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    fn new(rope: &Rope, head_dim: usize, context: usize) -> Result<Self> {
        let half = head_dim / 2;
        let room = || {
            let mut room = Vec::new();
            let bytes = memory::product([context, half, size_of::<f32>()]);
            room.try_reserve_exact(context.saturating_mul(half)).map(|()| room).map_err(|_| {
                Error::out_of_memory("the rotary embedding", bytes, None, "use a smaller context (--context)")
            })
        };
        let (cos, sin) = (room()?, room()?);
        Ok(Rotary {
            frequencies: rope.frequencies(head_dim),
            factor: rope.attention_factor(),
            half,
            cos,
            sin,
        })
    }

    /// Computes the positions below `end`, as far as they are not there yet.
    fn reach(&mut self, end: usize) {
        for position in self.cos.len() / self.half..end {
            for frequency in &self.frequencies {
                let angle = position as f32 * frequency;
                self.cos.push(libm::cosf(angle) * self.factor);
                self.sin.push(libm::sinf(angle) * self.factor);
            }
        }
    }

    /// Returns the cosines and sines at `position`, head_dim / 2 of each.
    pub(super) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let start = position * self.half;
        (&self.cos[start..][..self.half], &self.sin[start..][..self.half])
    }
}
