//! Buffers of the tokens in progress.

use std::sync::{Mutex, PoisonError};

use super::attention::{Gathered, SEGMENT};
use super::head::Scratch;
use super::input::Rounded;
use super::rotary::Rotary;
use crate::error::Result;
use crate::memory;
use crate::vectors::attention::PAGE;
use tercet_formats::config::Config;

/// The most tokens that go through the layers together.
pub(crate) const BATCH: usize = 256;

/// Activations of one batch, token-major, and tables that grow with the sequences.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) residual: Vec<f32>,
    /// Outputs of the last norm.
    pub(super) normed: Vec<f32>,
    pub(super) rounded: Rounded,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    pub(super) product: Vec<f32>,
    pub(super) head: Scratch,
    pub(super) rotary: Rotary,
    /// Of the layers with local attention.
    pub(super) local_rotary: Option<Rotary>,
    /// Attention sums of one token's queries, KV head × segment.
    pub(super) segments: Vec<Gathered>,
}

impl Buffers {
    /// Returns buffers for [`BATCH`] tokens.
    ///
    /// Most systems hand out a page at its first use, so unused parts take no memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) if the system has too little.
    fn new(config: &Config) -> Result<Self> {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let widths = 3 * hidden + 2 * (q + kv + ffn) + hidden.max(ffn).max(q);
        let bytes = memory::product([BATCH, widths, size_of::<f32>()]);
        memory::require(bytes, || format!("the work on {BATCH} tokens"), "use a smaller model")?;
        let floats = |width: usize| vec![0.0; BATCH * width];
        Ok(Buffers {
            residual: floats(hidden),
            normed: floats(hidden),
            rounded: Rounded::new(BATCH, hidden.max(ffn).max(q)),
            q: floats(q),
            k: floats(kv),
            v: floats(kv),
            attended: floats(q),
            gate: floats(ffn),
            up: floats(ffn),
            product: floats(hidden),
            head: Scratch::default(),
            rotary: Rotary::new(&config.rope, config.head_dim),
            local_rotary: config
                .local_attention
                .as_ref()
                .map(|local| Rotary::new(&local.rope, config.head_dim)),
            segments: Vec::new(),
        })
    }

    /// Prepares the work on positions below `end`.
    pub(super) fn reach(&mut self, config: &Config, end: usize) {
        let rotaries = [Some(&mut self.rotary), self.local_rotary.as_mut()];
        rotaries.into_iter().flatten().for_each(|rotary| rotary.reach(end.next_multiple_of(PAGE)));
        let (group, segments) = (config.heads / config.kv_heads, config.kv_heads * end.div_ceil(SEGMENT));
        if self.segments.len() < segments {
            self.segments.resize(segments, Gathered::new(group, config.head_dim));
        }
    }
}

/// A model's buffers: one set for each caller, as many as ever ran at the same time.
#[derive(Debug, Default)]
pub(super) struct BufferStock(Mutex<Vec<Buffers>>);

impl BufferStock {
    /// Calls `work` with buffers that no other caller uses meanwhile.
    ///
    /// # Errors
    /// Those of `work`, and [`Error::OutOfMemory`](crate::Error::OutOfMemory) if new buffers are needed, and the system has too little memory.
    pub(super) fn lend<T>(&self, config: &Config, work: impl FnOnce(&mut Buffers) -> Result<T>) -> Result<T> {
        let stock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = stock().pop();
        let mut buffers = lent.map_or_else(|| Buffers::new(config), Ok)?;
        let outcome = work(&mut buffers);
        stock().push(buffers);
        outcome
    }
}
