//! What a sequence leaves behind, and the buffers of its next tokens.

use super::attention::{Gathered, SEGMENT};
use super::cache::KvCache;
use super::config::{Config, Rope};
use super::head::Scratch;
use super::input::Rounded;
use crate::runtime::CacheType;

/// The most tokens that go through the layers at once.
pub(crate) const BATCH: usize = 256;

/// One sequence: its keys and values, and buffers for a batch of them, allocated once.
#[derive(Debug)]
pub struct State {
    /// Tokens whose keys and values are cached.
    pub(super) position: usize,
    pub(super) cache: KvCache,
    pub(super) rotary: Rotary,
    pub(super) buffers: Buffers,
    pub(super) head: Scratch,
    /// Positions × vocabulary, of the last call.
    pub(super) logits: Vec<f32>,
}

impl State {
    /// A state for sequences of up to `context` tokens.
    pub(super) fn new(config: &Config, cache: CacheType, context: usize) -> Self {
        State {
            position: 0,
            cache: KvCache::new(config, cache, context),
            rotary: Rotary::new(&config.rope, config.head_dim, context),
            buffers: Buffers::new(config, BATCH.min(context), context),
            head: Scratch::default(),
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

/// Token-major activations of the batch under way.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) residual: Vec<f32>,
    /// The last norm of one token.
    pub(super) normed: Vec<f32>,
    pub(super) rounded: Rounded,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    /// What one token's queries have gathered, kv head × segment.
    pub(super) segments: Vec<Gathered>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    pub(super) product: Vec<f32>,
}

impl Buffers {
    /// For up to `tokens` tokens at once in a sequence of `context`.
    fn new(config: &Config, tokens: usize, context: usize) -> Self {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let widest = hidden.max(ffn).max(q);
        let (group, segments) = (config.heads / config.kv_heads, config.kv_heads * context.div_ceil(SEGMENT));
        let floats = |width: usize| vec![0.0; tokens * width];
        Buffers {
            residual: floats(hidden),
            normed: vec![0.0; hidden],
            rounded: Rounded::new(tokens, widest),
            q: floats(q),
            k: floats(kv),
            v: floats(kv),
            segments: vec![Gathered::new(group, config.head_dim); segments],
            attended: floats(q),
            gate: floats(ffn),
            up: floats(ffn),
            product: floats(hidden),
        }
    }
}
