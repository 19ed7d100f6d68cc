//! The shapes of published models.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use tercet_formats::config::{
    Activation, BITNET, Config, Family, LLAMA, ONE_BIT_LLM, QWEN3, Rope, RopeScaling,
};

/// The shape of a published model, by name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name for the user.
    pub name: &'static str,
    pub(super) family: &'static Family,
    pub(super) vocab_size: usize,
    /// Widths of the residual stream and of the feed-forward block.
    pub(super) widths: (usize, usize),
    pub(super) layers: usize,
    /// Numbers of query heads, and of key and value heads.
    pub(super) heads: (usize, usize),
    pub(super) head_dim: usize,
    pub(super) max_positions: usize,
    pub(super) rope_theta: f32,
    pub(super) tie_word_embeddings: bool,
    /// Number of weights of a row that share a scale, in every matrix including embedding and head.
    /// `None` if each matrix has one scale, and embedding and head are floats.
    pub(super) group_size: Option<usize>,
    /// The share of a token's gates that are positive, for ReLU².
    pub(super) gate_density: f64,
    /// The distance of a token's best logit from the mean, in standard deviations.
    pub(super) head_peak: f64,
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
    gate_density: 0.37,
    head_peak: 9.0,
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
    ..BITNET_2B_4T
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

    /// Sets the share of a token's gates that are positive.
    ///
    /// # Errors
    /// Fails if the share is not between 0.01 and 0.99, or the model's activation is not ReLU². Others have no gates of zero.
    pub fn with_gate_density(self, share: f64) -> Result<Self> {
        let bad = |problem: String, remedy: &str| Err(Error::bad_argument("gate_density", problem, remedy));
        if !self.has_zero_gates() {
            return bad(
                format!("{} has no gates of zero", self.name),
                "use a model with ReLU², or leave it out",
            );
        }
        if !(0.01..=0.99).contains(&share) {
            return bad(format!("{share} is out of range"), "use 0.01 to 0.99");
        }
        Ok(Preset { gate_density: share, ..self })
    }

    /// Sets the distance of a token's best logit from the mean, in standard deviations of the token's logits.
    ///
    /// # Errors
    /// Fails if the distance is not between 5 and 16.
    pub fn with_head_peak(self, deviations: f64) -> Result<Self> {
        if !(5.0..=16.0).contains(&deviations) {
            let problem = format!("{deviations} is out of range");
            return Err(Error::bad_argument("head_peak", problem, "use 5 to 16 standard deviations"));
        }
        Ok(Preset { head_peak: deviations, ..self })
    }

    /// Returns the share of a token's gates that are positive, unless the model's activation is not ReLU².
    pub fn gate_density(&self) -> Option<f64> {
        self.has_zero_gates().then_some(self.gate_density)
    }

    /// Returns the distance of a token's best logit from the mean, in standard deviations of the token's logits.
    pub fn head_peak(&self) -> f64 {
        self.head_peak
    }

    pub(super) fn has_zero_gates(&self) -> bool {
        self.family.activation == Activation::Relu2
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use tercet_formats::config::{Role, Tensor};

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
