//! A model's tensors, validated against its config and packed for the planned kernels.

use tercet_kernels_ref::ternary;

use super::config::{Config, ScaleRule};
use super::head::Rows;
use super::linear::{Kernels, Linear};
use crate::error::{Error, Result};
use crate::formats::{Floats, MODEL, ModelFiles, StoredFloats, TensorFile};

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
    /// Reads `model.safetensors` in the format of `BitNetForCausalLM`.
    pub(super) fn load(
        files: &ModelFiles,
        config: &Config,
        kernels: &Kernels,
        pool: &tercet_pool::Pool,
    ) -> Result<Self> {
        let tensors = TensorFile::load(files, MODEL)?;
        let matrix = [config.vocab_size, config.hidden_size];
        let embedding = tensors.stored_floats("model.embed_tokens.weight", &matrix)?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(tensors.stored_floats("lm_head.weight", &matrix)?),
        };
        let reader = LayerReader { tensors: &tensors, config, kernels };
        Ok(Weights {
            embedding,
            layers: pool.map(config.layers, |i| reader.layer(i)).into_iter().collect::<Result<_>>()?,
            norm: tensors.vector("model.norm.weight", config.hidden_size)?,
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
    tensors: &'a TensorFile,
    config: &'a Config,
    kernels: &'a Kernels,
}

impl LayerReader<'_> {
    fn layer(&self, i: usize) -> Result<Layer> {
        let name = |part: &str| format!("model.layers.{i}.{part}");
        let linear = |part: &str, shape: (usize, usize)| self.linear(&name(part), shape);
        let gain = |part: &str, len: usize| self.tensors.vector(&name(&format!("{part}.weight")), len);
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
        let weight = format!("{name}.weight");
        if !n.is_multiple_of(4) {
            let found = format!("{n} rows");
            return Err(Error::unsupported(self.tensors.label(), weight, found, "a multiple of 4 rows"));
        }
        let packed = self.tensors.u8(&weight, &[n / 4, k])?;
        let trits = ternary::unpack(packed, n, k).map_err(|e| {
            let problem = format!("code 3 at row {}, column {} is no ternary weight", e.row, e.column);
            Error::malformed(self.tensors.label(), weight, problem, "the file is damaged: download it again")
        })?;
        let scale = self.tensors.scale(&format!("{name}.weight_scale"))?;
        let scale = match self.config.scale_rule {
            ScaleRule::Multiply => scale,
            ScaleRule::Divide => 1.0 / scale,
        };
        self.kernels.linear(n, k, &trits, scale)
    }
}
