//! A model's tensors, validated against its config and packed for the planned kernels.

use super::config::Config;
use super::head::Rows;
use super::linear::{Kernels, Linear};
use crate::error::Result;
use crate::formats::{Checkpoint, Floats, StoredFloats, Ternary};

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
    /// Reads and packs the tensors of `BitNetForCausalLM`.
    pub(super) fn load(
        checkpoint: &dyn Checkpoint,
        config: &Config,
        kernels: &Kernels,
        pool: &tercet_pool::Pool,
    ) -> Result<Self> {
        let table = |name| checkpoint.floats(name, config.vocab_size, config.hidden_size);
        let embedding = table("model.embed_tokens.weight")?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(table("lm_head.weight")?),
        };
        let reader = LayerReader { checkpoint, config, kernels };
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

    /// Bytes of the packed matrices.
    pub(super) fn ternary_bytes(&self) -> usize {
        self.layers.iter().flat_map(Layer::linears).map(Linear::bytes).sum()
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
    fn linears(&self) -> [&Linear; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    /// Shapes (n, k) of a layer's matrices: q and o, k and v, gate and up, down.
    pub(super) fn shapes(config: &Config) -> [(usize, usize); 5] {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        [(q, hidden), (kv, hidden), (hidden, q), (ffn, hidden), (hidden, ffn)]
    }
}

struct LayerReader<'a> {
    checkpoint: &'a dyn Checkpoint,
    config: &'a Config,
    kernels: &'a Kernels,
}

impl LayerReader<'_> {
    fn layer(&self, i: usize) -> Result<Layer> {
        let name = |part: &str| format!("model.layers.{i}.{part}");
        let linear = |part: &str, shape| self.linear(&name(&format!("{part}.weight")), shape);
        let gain = |part: &str, len| self.checkpoint.vector(&name(&format!("{part}.weight")), len);
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
        let Ternary { trits, scales } = self.checkpoint.ternary(name, n, k)?;
        self.kernels.linear(n, k, &trits, scales.whole(name)?)
    }
}
