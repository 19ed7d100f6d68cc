//! Models with the shapes of published models and seeded random weights, for benchmarks without
//! downloads.

use std::collections::{BTreeSet, HashMap};

use half::bf16;
use tercet_kernels_ref::random::SplitMix;
use tercet_pool::Pool;

use super::linear::{Linear, Packer};
use super::norm::Norm;
use super::weights::{FloatRows, Source, Table, Weights};
use crate::error::{Error, Result};
use tercet_formats::config::{
    BITNET, Config, Family, HEAD, LLAMA, ONE_BIT_LLM, QWEN3, Role, Rope, RopeScaling, Tensor,
};
use tercet_formats::{Scales, StoredFloats, Ternary};

/// The shape of a published model, by name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name for the user.
    pub name: &'static str,
    family: &'static Family,
    vocab_size: usize,
    /// Widths of the residual stream and of the feed-forward block.
    widths: (usize, usize),
    layers: usize,
    /// Numbers of query heads, and of key and value heads.
    heads: (usize, usize),
    head_dim: usize,
    max_positions: usize,
    rope_theta: f32,
    tie_word_embeddings: bool,
    /// Number of weights of a row that share a scale, in every matrix including embedding and head.
    /// `None` if each matrix has one scale, and embedding and head are floats.
    group_size: Option<usize>,
}

const BITNET_2B_4T: Preset = Preset {
    name: "bitnet-2b-4t",
    family: &BITNET,
    vocab_size: 128_256,
    widths: (2560, 6912),
    layers: 30,
    heads: (20, 5),
    head_dim: 128,
    max_positions: 4096,
    rope_theta: 500_000.0,
    tie_word_embeddings: true,
    group_size: None,
};

const BITNET_0_7B: Preset = Preset {
    name: "bitnet-0.7b",
    family: &ONE_BIT_LLM,
    vocab_size: 32_002,
    widths: (1536, 4096),
    layers: 24,
    heads: (16, 16),
    head_dim: 96,
    max_positions: 2048,
    rope_theta: 10_000.0,
    ..BITNET_2B_4T
};

const LLAMA3_8B: Preset = Preset {
    name: "llama3-8b-1.58",
    family: &LLAMA,
    widths: (4096, 14_336),
    layers: 32,
    heads: (32, 8),
    max_positions: 8192,
    tie_word_embeddings: false,
    ..BITNET_2B_4T
};

const FALCON3_1B: Preset = Preset {
    name: "falcon3-1b-1.58",
    vocab_size: 131_072,
    widths: (2048, 8192),
    layers: 18,
    heads: (8, 4),
    head_dim: 256,
    rope_theta: 1_000_042.0,
    ..LLAMA3_8B
};

const FALCON3_7B: Preset = Preset {
    name: "falcon3-7b-1.58",
    widths: (3072, 23_040),
    layers: 28,
    heads: (12, 4),
    max_positions: 32_768,
    ..FALCON3_1B
};

/// The published file has 665 MB, and these shapes account for 633 of them. The larger model's file
/// has 999 MB, which its shapes account for exactly.
const FALCON_E_1B: Preset = Preset {
    name: "falcon-e-1b",
    vocab_size: 32_768,
    layers: 24,
    heads: (16, 4),
    head_dim: 128,
    max_positions: 32_768,
    ..FALCON3_1B
};

const BONSAI_1_7B: Preset = Preset {
    name: "bonsai-1.7b",
    family: &QWEN3,
    vocab_size: 151_936,
    widths: (2048, 6144),
    layers: 28,
    heads: (16, 8),
    head_dim: 128,
    max_positions: 32_768,
    rope_theta: 1_000_000.0,
    tie_word_embeddings: true,
    group_size: Some(128),
};

/// Every preset.
pub const PRESETS: [Preset; 13] = [
    BITNET_2B_4T,
    BITNET_0_7B,
    Preset {
        name: "bitnet-3b",
        widths: (3200, 8640),
        layers: 26,
        heads: (32, 32),
        head_dim: 100,
        ..BITNET_0_7B
    },
    FALCON_E_1B,
    Preset { name: "falcon-e-3b", widths: (2048, 13_312), layers: 32, heads: (16, 2), ..FALCON_E_1B },
    FALCON3_1B,
    Preset { name: "falcon3-3b-1.58", widths: (3072, 9216), layers: 22, heads: (12, 4), ..FALCON3_1B },
    FALCON3_7B,
    Preset { name: "falcon3-10b-1.58", layers: 40, ..FALCON3_7B },
    LLAMA3_8B,
    BONSAI_1_7B,
    Preset { name: "bonsai-4b", widths: (2560, 9728), layers: 36, heads: (32, 8), ..BONSAI_1_7B },
    Preset {
        name: "bonsai-8b",
        widths: (4096, 12_288),
        layers: 36,
        heads: (32, 8),
        max_positions: 65_536,
        tie_word_embeddings: false,
        ..BONSAI_1_7B
    },
];

impl Preset {
    /// Returns the preset called `name`.
    ///
    /// # Errors
    /// Fails if there is no such preset. The message lists all presets.
    pub fn find(name: &str) -> Result<Self> {
        PRESETS.into_iter().find(|preset| preset.name == name).ok_or_else(|| {
            let names = PRESETS.map(|preset| preset.name).join(", ");
            Error::bad_argument("synthetic", format!("{name:?} is no preset"), format!("use {names}"))
        })
    }

    /// Returns the architecture.
    pub fn config(&self) -> Config {
        Config {
            vocab_size: self.vocab_size,
            hidden_size: self.widths.0,
            intermediate_size: self.widths.1,
            layers: self.layers,
            heads: self.heads.0,
            kv_heads: self.heads.1,
            head_dim: self.head_dim,
            max_positions: self.max_positions,
            rms_norm_eps: self.family.rms_norm_eps,
            rope: Rope { theta: self.rope_theta, scaling: RopeScaling::None },
            activation: self.family.activation,
            sub_norms: self.family.sub_norms,
            query_key_norms: self.family.query_key_norms,
            post_norms: self.family.post_norms,
            embedding_scale: 1.0,
            local_attention: None,
            linear_norm_eps: None,
            float_modules: BTreeSet::new(),
            ternary_head: false,
            tie_word_embeddings: self.tie_word_embeddings,
            bos_token_id: Some(0),
            eos_token_ids: Vec::new(),
        }
    }

    /// Draws seeded random weights. A third of the ternary ones are zero, and norms are 1.
    pub(super) fn weights(&self, config: &Config, packer: &Packer<'_>, pool: &Pool) -> Result<Weights> {
        let ternary = config.tensors().into_iter().filter(|tensor| matches!(tensor.role, Role::Ternary(..)));
        let seeds = ternary.map(|tensor| tensor.name).zip(0..).collect();
        Weights::of(config, &Random { preset: self, config, packer, pool, seeds }, pool)
    }
}

/// Draws a preset's tensors at random.
struct Random<'a> {
    preset: &'a Preset,
    config: &'a Config,
    packer: &'a Packer<'a>,
    pool: &'a Pool,
    /// Seeds of the ternary layers by the names of their tensors.
    seeds: HashMap<String, u64>,
}

impl Random<'_> {
    fn matrix(&self, (n, k): (usize, usize), seed: u64) -> Result<Linear> {
        let scale = 1.0 / (k as f32).sqrt();
        let scales = match self.preset.group_size {
            None => Scales::Tensor(scale),
            Some(size) => Scales::Groups { size, values: vec![scale; n * k.div_ceil(size)] },
        };
        self.packer.linear((n, k), Ternary { trits: random_trits(n * k, seed), scales }, None)
    }
}

impl Source for Random<'_> {
    fn norm(&self, tensor: &Tensor) -> Result<Norm> {
        Ok(Norm::plain(tensor.matrix().0, self.config.rms_norm_eps))
    }

    fn linear(&self, tensor: &Tensor) -> Result<Linear> {
        self.matrix(tensor.matrix(), self.seeds.get(&tensor.name).copied().unwrap_or_default())
    }

    fn table(&self, tensor: &Tensor) -> Result<Table> {
        let (rows, width) = tensor.matrix();
        let seed = u64::from(tensor.module() == HEAD);
        if self.preset.group_size.is_some() {
            return Ok(Table::Ternary(Box::new(self.matrix((rows, width), !seed)?)));
        }
        let mut floats = vec![0; 2 * rows * width];
        self.pool.chunks(&mut floats, 2 * width, |row, bytes| {
            let mut random = SplitMix(!(row as u64 + (seed << 32)));
            for element in bytes.as_chunks_mut::<2>().0 {
                let uniform = (random.next_u64() >> 40) as f32 / (1 << 24) as f32;
                *element = bf16::from_f32((uniform - 0.5) * 0.1).to_le_bytes();
            }
        });
        Ok(Table::Floats(FloatRows { floats: StoredFloats::of_bf16(floats), width }))
    }
}

/// Returns `count` seeded random ternary weights.
pub(crate) fn random_trits(count: usize, seed: u64) -> Vec<i8> {
    let mut random = SplitMix(seed << 32);
    let mut trits = Vec::with_capacity(count + 8);
    while trits.len() < count {
        trits.extend(random.next_u64().to_le_bytes().map(|byte| (byte % 3) as i8 - 1));
    }
    trits.truncate(count);
    trits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_published_numbers_of_parameters() {
        let billions = |name| {
            let config = Preset::find(name).unwrap().config();
            let elements = |tensor: &Tensor| match tensor.role {
                Role::Vector(_) => 0,
                Role::Ternary(n, k) | Role::Dense(n, k) | Role::Table(n, k) => n * k,
            };
            config.tensors().iter().map(elements).sum::<usize>() as f64 / 1e9
        };
        for (name, published) in [
            ("bitnet-2b-4t", 2.41),
            ("bitnet-0.7b", 0.73),
            ("bitnet-3b", 3.32),
            ("falcon3-1b-1.58", 1.67),
            ("falcon3-3b-1.58", 3.23),
            ("falcon3-7b-1.58", 7.46),
            ("falcon3-10b-1.58", 10.31),
            ("llama3-8b-1.58", 8.03),
            ("bonsai-1.7b", 1.72),
            ("bonsai-4b", 4.02),
            ("bonsai-8b", 8.19),
        ] {
            let found = billions(name);
            assert!((found - published).abs() < 0.006, "{name}: {found} is not {published}");
        }
    }
}
