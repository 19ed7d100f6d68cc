//! Activations of the tokens in progress.

use std::sync::{Mutex, PoisonError};

use super::head::Scratch;
use super::input::Rounded;
use tercet_formats::config::Config;

/// The most tokens that go through the layers together.
pub(crate) const BATCH: usize = 256;

/// Activations of one batch, token-major.
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
}

impl Buffers {
    /// Returns buffers for [`BATCH`] tokens.
    ///
    /// Most systems hand out a page at its first use, so unused parts take no memory.
    fn new(config: &Config) -> Self {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let floats = |width: usize| vec![0.0; BATCH * width];
        Buffers {
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
        }
    }
}

/// A model's buffers: one set for each caller, as many as ever ran at the same time.
#[derive(Debug, Default)]
pub(super) struct BufferStock(Mutex<Vec<Buffers>>);

impl BufferStock {
    /// Calls `work` with buffers that no other caller uses meanwhile.
    pub(super) fn lend<T>(&self, config: &Config, work: impl FnOnce(&mut Buffers) -> T) -> T {
        let stock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = stock().pop();
        let mut buffers = lent.unwrap_or_else(|| Buffers::new(config));
        let outcome = work(&mut buffers);
        stock().push(buffers);
        outcome
    }
}
