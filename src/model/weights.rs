//! A model's tensors, validated against its config and packed for the planned kernels.

use super::config::Config;
use super::head::Rows;
use super::linear::{Kernels, Linear};
use crate::error::Result;
use crate::formats::{Checkpoint, Floats, StoredFloats, Ternary};
use crate::packed::{PackedFile, Part, PartKind};

/// Everything that the forward pass reads.
#[derive(Debug)]
pub(super) struct Weights {
    /// vocabulary × hidden.
    pub(super) embedding: StoredFloats,
    pub(super) layers: Vec<Layer>,
    /// Gain of the last norm.
    pub(super) norm: Vec<f32>,
    /// vocabulary × hidden; none where it is the embedding.
    pub(super) head: Option<StoredFloats>,
}

/// One transformer block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    pub(super) attention_sub_norm: Vec<f32>,
    pub(super) o: Linear,
    pub(super) ffn_norm: Vec<f32>,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) ffn_sub_norm: Vec<f32>,
    pub(super) down: Linear,
}

impl Weights {
    /// Reads the tensors of `BitNetForCausalLM`, and packs the ternary ones unless they are in `packed`.
    pub(super) fn load(
        checkpoint: &dyn Checkpoint,
        config: &Config,
        kernels: &Kernels,
        pool: &tercet_pool::Pool,
        packed: Option<&PackedFile>,
    ) -> Result<Self> {
        let table = |name| checkpoint.floats(name, config.vocab_size, config.hidden_size);
        let embedding = table("model.embed_tokens.weight")?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(table("lm_head.weight")?),
        };
        let reader = LayerReader { checkpoint, config, kernels, pool, packed };
        Ok(Weights {
            embedding,
            layers: pool.map(config.layers, |i| reader.layer(i)).into_iter().collect::<Result<_>>()?,
            norm: checkpoint.vector("model.norm.weight", config.hidden_size)?,
            head,
        })
    }

    /// Copies a token's embedding to `out`, hidden wide.
    pub(super) fn embed(&self, token: u32, out: &mut [f32]) {
        self.embedding.get().read(token as usize * out.len(), out);
    }

    /// The packed matrices, to be kept.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let layers = self.layers.iter().enumerate();
        let linears = layers.flat_map(|(i, layer)| {
            layer.linears().map(|(part, linear)| Part {
                name: tensor(i, part),
                kind: PartKind::Matrix(linear.weights()),
            })
        });
        linears.collect()
    }

    /// Bytes of the packed matrices.
    pub(super) fn ternary_bytes(&self) -> usize {
        self.layers.iter().flat_map(Layer::linears).map(|(_, linear)| linear.bytes()).sum()
    }

    /// Bytes of the embedding and of a head of its own.
    pub(super) fn float_bytes(&self) -> (usize, usize) {
        (self.embedding.bytes(), self.head.as_ref().map_or(0, StoredFloats::bytes))
    }
}

impl Rows for Weights {
    fn row(&self, token: usize) -> Floats<'_> {
        let width = self.norm.len();
        self.head.as_ref().unwrap_or(&self.embedding).get().slice(token * width, width)
    }
}

impl Layer {
    /// Its matrices and what their tensors are called.
    fn linears(&self) -> [(&'static str, &Linear); 7] {
        [
            ("self_attn.q_proj", &self.q),
            ("self_attn.k_proj", &self.k),
            ("self_attn.v_proj", &self.v),
            ("self_attn.o_proj", &self.o),
            ("mlp.gate_proj", &self.gate),
            ("mlp.up_proj", &self.up),
            ("mlp.down_proj", &self.down),
        ]
    }

    /// Shapes (n, k) of a layer's matrices: q and o, k and v, gate and up, down.
    pub(super) fn shapes(config: &Config) -> [(usize, usize); 5] {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        [(q, hidden), (kv, hidden), (hidden, q), (ffn, hidden), (hidden, ffn)]
    }
}

/// The name of a layer's tensor.
fn tensor(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}.weight")
}

struct LayerReader<'a> {
    checkpoint: &'a dyn Checkpoint,
    config: &'a Config,
    kernels: &'a Kernels,
    pool: &'a tercet_pool::Pool,
    packed: Option<&'a PackedFile>,
}

impl LayerReader<'_> {
    fn layer(&self, i: usize) -> Result<Layer> {
        let linear = |part: &str, shape| self.linear(&tensor(i, part), shape);
        let gain = |part: &str, len| self.checkpoint.vector(&tensor(i, part), len);
        let Config { hidden_size: hidden, intermediate_size: ffn, .. } = *self.config;
        let [q, kv, o, gate, down] = Layer::shapes(self.config);
        Ok(Layer {
            attention_norm: gain("input_layernorm", hidden)?,
            q: linear("self_attn.q_proj", q)?,
            k: linear("self_attn.k_proj", kv)?,
            v: linear("self_attn.v_proj", kv)?,
            attention_sub_norm: gain("self_attn.attn_sub_norm", q.0)?,
            o: linear("self_attn.o_proj", o)?,
            ffn_norm: gain("post_attention_layernorm", hidden)?,
            gate: linear("mlp.gate_proj", gate)?,
            up: linear("mlp.up_proj", gate)?,
            ffn_sub_norm: gain("mlp.ffn_sub_norm", ffn)?,
            down: linear("mlp.down_proj", down)?,
        })
    }

    fn linear(&self, name: &str, (n, k): (usize, usize)) -> Result<Linear> {
        if let Some(packed) = self.packed {
            return Ok(self.kernels.packed(packed.matrix(name, self.kernels.layout(), (n, k), self.pool)?));
        }
        let Ternary { trits, scales } = self.checkpoint.ternary(name, n, k)?;
        self.kernels.linear(n, k, &trits, scales.whole(name)?)
    }
}
