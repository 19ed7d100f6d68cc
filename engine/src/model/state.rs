//! What a sequence leaves behind.

use super::attention::{Gathered, SEGMENT};
use super::cache::KvCache;
use crate::runtime::CacheType;
use tercet_formats::config::{Config, Rope};

/// One sequence: its keys and values, and the logits of its latest tokens.
#[derive(Debug)]
pub struct State {
    /// Tokens whose keys and values are cached.
    pub(super) position: usize,
    pub(super) cache: KvCache,
    pub(super) rotary: Rotary,
    /// What one token's queries have gathered, kv head × segment.
    pub(super) segments: Vec<Gathered>,
    /// Positions × vocabulary, of the last call.
    pub(super) logits: Vec<f32>,
}

impl State {
    /// A state for sequences of up to `context` tokens.
    pub(super) fn new(config: &Config, cache: CacheType, context: usize) -> Self {
        let (group, segments) = (config.heads / config.kv_heads, config.kv_heads * context.div_ceil(SEGMENT));
        State {
            position: 0,
            cache: KvCache::new(config, cache, context),
            rotary: Rotary::new(&config.rope, config.head_dim, context),
            segments: vec![Gathered::new(group, config.head_dim); segments],
            logits: Vec::new(),
        }
    }

    /// Tokens in the sequence so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Tokens that the sequence may have.
    pub fn context(&self) -> usize {
        self.cache.context()
    }

    /// Size of the key and value caches.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// The logits that the latest call left, positions × vocabulary.
    pub(crate) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    /// Takes over the first `positions` tokens of `other`, a sequence of the same model. The caller vouches that both
    /// sequences begin with the same tokens.
    ///
    /// # Panics
    /// If `other` is shorter, or this sequence's context is.
    pub(crate) fn copy_prefix(&mut self, other: &State, positions: usize) {
        assert!(positions <= other.position && positions <= self.context(), "the prefix does not fit");
        self.cache.copy_prefix(&other.cache, positions);
        self.position = positions;
    }

    /// Forgets the tokens from `position` on.
    ///
    /// # Panics
    /// If the sequence is shorter.
    pub fn truncate(&mut self, position: usize) {
        assert!(position <= self.position, "cannot truncate forwards");
        self.position = position;
    }
}

/// cos and sin of position · frequency, in f32 as transformers computes them.
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

    /// Cosines and sines at `position`, head_dim / 2 each.
    pub(super) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let start = position * self.half;
        (&self.cos[start..][..self.half], &self.sin[start..][..self.half])
    }
}
