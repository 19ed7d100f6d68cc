//! Models of real shapes with seeded random weights, made in memory: for benchmarks without downloads.

use half::bf16;
use tercet_kernels_ref::random::SplitMix;

use super::config::Config;
use super::linear::{Kernels, Linear};
use super::weights::{Layer, Weights};
use crate::error::{Error, Result};
use crate::formats::StoredFloats;

/// A named shape.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// What the user calls it.
    pub name: &'static str,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

/// Every preset.
pub const PRESETS: [Preset; 1] = [Preset {
    name: "bitnet-2b-4t",
    vocab_size: 128_256,
    hidden_size: 2560,
    intermediate_size: 6912,
    layers: 30,
    heads: 20,
    kv_heads: 5,
    head_dim: 128,
}];

impl Preset {
    /// The preset called `name`.
    ///
    /// # Errors
    /// Fails if there is none, naming those that there are.
    pub fn find(name: &str) -> Result<Self> {
        PRESETS.into_iter().find(|preset| preset.name == name).ok_or_else(|| {
            let names = PRESETS.map(|preset| preset.name).join(", ");
            Error::bad_argument("--synthetic", format!("{name:?} is no preset"), format!("use {names}"))
        })
    }

    /// The architecture.
    pub fn config(&self) -> Config {
        Config {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            max_positions: 4096,
            rms_norm_eps: 1e-5,
            rope_theta: 500_000.0,
            tie_word_embeddings: true,
            bos_token_id: Some(0),
            eos_token_ids: Vec::new(),
        }
    }
}

impl Weights {
    /// Seeded random weights, a third of them zero; norms are 1.
    pub(super) fn synthetic(config: &Config, kernels: &Kernels, pool: &tercet_pool::Pool) -> Result<Self> {
        let Config { hidden_size: hidden, intermediate_size: ffn, vocab_size, .. } = *config;
        let [q, kv, o, gate, down] = Layer::shapes(config);
        let layer = |layer: usize| -> Result<Layer> {
            let linear = |i: usize, shape| random_linear(kernels, shape, (7 * layer + i) as u64);
            Ok(Layer {
                attention_norm: vec![1.0; hidden],
                q: linear(0, q)?,
                k: linear(1, kv)?,
                v: linear(2, kv)?,
                attention_sub_norm: vec![1.0; q.0],
                o: linear(3, o)?,
                ffn_norm: vec![1.0; hidden],
                gate: linear(4, gate)?,
                up: linear(5, gate)?,
                ffn_sub_norm: vec![1.0; ffn],
                down: linear(6, down)?,
            })
        };
        let layers = pool.map(config.layers, layer).into_iter().collect::<Result<_>>()?;
        let mut embedding = vec![0; 2 * vocab_size * hidden];
        pool.chunks(&mut embedding, 2 * hidden, |row, bytes| {
            let mut random = SplitMix(!(row as u64));
            for element in bytes.as_chunks_mut::<2>().0 {
                let uniform = (random.next_u64() >> 40) as f32 / (1 << 24) as f32;
                *element = bf16::from_f32((uniform - 0.5) * 0.1).to_le_bytes();
            }
        });
        let embedding = StoredFloats::of_bf16(embedding);
        Ok(Weights { embedding, layers, norm: vec![1.0; hidden], head: None })
    }
}

fn random_linear(kernels: &Kernels, (n, k): (usize, usize), seed: u64) -> Result<Linear> {
    kernels.linear(n, k, &random_trits(n * k, seed), 1.0 / (k as f32).sqrt())
}

/// Seeded ternary weights.
pub(crate) fn random_trits(count: usize, seed: u64) -> Vec<i8> {
    let mut random = SplitMix(seed << 32);
    let mut trits = Vec::with_capacity(count + 8);
    while trits.len() < count {
        trits.extend(random.next_u64().to_le_bytes().map(|byte| (byte % 3) as i8 - 1));
    }
    trits.truncate(count);
    trits
}
