//! The first layer in plain sequential arithmetic.

use tercet_kernels_ref::{gemm, ops, quantize};

use crate::error::Result;
use tercet_formats::Config;
use tercet_formats::config::Activation;
use tercet_formats::{Checkpoint, ModelFiles, Scales, StoredFloats, Table, Ternary, open_checkpoint};

/// Returns the logits of every token after one layer, the last norm and the head: tokens × vocabulary.
pub(super) fn logits(files: &ModelFiles, config: &Config, tokens: &[u32]) -> Result<Vec<f32>> {
    let reader = Reader { checkpoint: open_checkpoint(files, config)?, config };
    let embedding = reader.rows("model.embed_tokens.weight")?;
    let mut residual: Vec<Vec<f32>> = tokens.iter().map(|&token| embedding.row(token as usize)).collect();
    residual.iter_mut().flatten().for_each(|x| *x *= config.embedding_scale);
    reader.attention(&mut residual)?;
    reader.feed_forward(&mut residual)?;

    let head = match config.tie_word_embeddings {
        true => embedding,
        false => reader.rows("lm_head.weight")?,
    };
    let norm = reader.norm("model.norm", config.hidden_size)?;
    Ok(residual.iter().flat_map(|x| head.products(&norm.apply(x), config.vocab_size)).collect())
}

struct Reader<'a> {
    checkpoint: Box<dyn Checkpoint>,
    config: &'a Config,
}

/// The rows of an embedding or a head.
enum Rows {
    Floats(StoredFloats, usize),
    Ternary(Linear),
}

impl Rows {
    fn row(&self, index: usize) -> Vec<f32> {
        match self {
            Rows::Floats(floats, width) => floats.get().slice(index * width, *width).to_vec(),
            Rows::Ternary(linear) => (0..linear.k).map(|column| linear.weight(index, column)).collect(),
        }
    }

    fn products(&self, x: &[f32], vocabulary: usize) -> Vec<f32> {
        match self {
            Rows::Floats(..) => (0..vocabulary).map(|token| ops::logits(x, &self.row(token))[0]).collect(),
            Rows::Ternary(linear) => linear.apply(x),
        }
    }
}

struct Norm {
    gain: Vec<f32>,
    eps: f32,
}

impl Norm {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let normed = x.chunks(self.gain.len()).map(|x| ops::rms_norm(x, &self.gain, self.eps));
        normed.flatten().collect()
    }
}

/// Returns `x` after the norm, if there is one.
fn after(norm: &Option<Norm>, x: &[f32]) -> Vec<f32> {
    norm.as_ref().map_or_else(|| x.to_vec(), |norm| norm.apply(x))
}

/// A ternary matrix, n × k.
struct Linear {
    norm: Option<Norm>,
    ternary: Ternary,
    n: usize,
    k: usize,
}

/// A linear layer, ternary or of floats.
enum Layer {
    Ternary(Linear),
    Floats(Vec<f32>),
}

impl Layer {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        match self {
            Layer::Ternary(linear) => linear.apply(x),
            Layer::Floats(weights) => ops::logits(x, weights),
        }
    }
}

impl Linear {
    /// Returns the number of columns that share a scale.
    fn size(&self) -> usize {
        match self.ternary.scales {
            Scales::Tensor(_) => self.k,
            Scales::Groups { size, .. } => size,
        }
    }

    fn scale(&self, row: usize, group: usize) -> f32 {
        match &self.ternary.scales {
            Scales::Tensor(scale) => *scale,
            Scales::Groups { size, values } => values[row * self.k.div_ceil(*size) + group],
        }
    }

    fn weight(&self, row: usize, column: usize) -> f32 {
        self.scale(row, column / self.size()) * f32::from(self.ternary.trits[row * self.k + column])
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let x = after(&self.norm, x);
        let mut y = vec![0.0; self.n];
        for (group, x) in x.chunks(self.size()).enumerate() {
            let first = group * self.size();
            let rows = self.ternary.trits.chunks(self.k);
            let trits: Vec<i8> = rows.flat_map(|row| row[first..first + x.len()].to_vec()).collect();
            let (acts, s) = quantize::absmax(x);
            let sums = gemm::gemm(&trits, &acts, self.n, x.len(), 1);
            for (row, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
                *y += gemm::scaled(sum, self.scale(row, group) / s);
            }
        }
        y
    }
}

impl Reader<'_> {
    fn attention(&self, residual: &mut [Vec<f32>]) -> Result<()> {
        let Config { hidden_size: hidden, heads, kv_heads, head_dim, .. } = self.config;
        let local = self.config.local_attention.as_ref().filter(|local| local.layers[0]);
        let rope = local.map_or(&self.config.rope, |local| &local.rope);
        let (frequencies, factor) = (rope.frequencies(*head_dim), rope.attention_factor());
        let norm = self.layer_norm("input_layernorm", *hidden)?;
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        let sub_norm = self.optional(self.config.sub_norms, "self_attn.attn_sub_norm", queries)?;
        let q_norm = self.optional(self.config.query_key_norms, "self_attn.q_norm", *head_dim)?;
        let k_norm = self.optional(self.config.query_key_norms, "self_attn.k_norm", *head_dim)?;
        let q = self.linear("self_attn.q_proj", queries, *hidden)?;
        let k = self.linear("self_attn.k_proj", keys, *hidden)?;
        let v = self.linear("self_attn.v_proj", keys, *hidden)?;
        let o = self.linear("self_attn.o_proj", *hidden, queries)?;
        let post_norm = self.optional(self.config.post_norms, "post_attention_norm", *hidden)?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (position, x) in residual.iter_mut().enumerate() {
            let normed = norm.apply(x);
            let mut query = after(&q_norm, &q.apply(&normed));
            let mut key = after(&k_norm, &k.apply(&normed));
            ops::rope(&mut query, position, &frequencies, factor);
            ops::rope(&mut key, position, &frequencies, factor);
            keys.extend(key);
            values.extend(v.apply(&normed));
            let attended = ops::attention(&query, &keys, &values, *heads, *kv_heads);
            add(x, &after(&post_norm, &o.apply(&after(&sub_norm, &attended))));
        }
        Ok(())
    }

    fn feed_forward(&self, residual: &mut [Vec<f32>]) -> Result<()> {
        let Config { hidden_size: hidden, intermediate_size: ffn, .. } = *self.config;
        let norm = self.layer_norm("post_attention_layernorm", hidden)?;
        let sub_norm = self.optional(self.config.sub_norms, "mlp.ffn_sub_norm", ffn)?;
        let gate = self.linear("mlp.gate_proj", ffn, hidden)?;
        let up = self.linear("mlp.up_proj", ffn, hidden)?;
        let down = self.linear("mlp.down_proj", hidden, ffn)?;
        let post_norm = self.optional(self.config.post_norms, "post_feedforward_norm", hidden)?;
        let activate = match self.config.activation {
            Activation::Relu2 => ops::relu2_gate,
            Activation::Silu => ops::silu_gate,
            Activation::GeluTanh => ops::gelu_gate,
        };
        for x in residual {
            let normed = norm.apply(x);
            let gated = activate(&gate.apply(&normed), &up.apply(&normed));
            add(x, &after(&post_norm, &down.apply(&after(&sub_norm, &gated))));
        }
        Ok(())
    }

    fn rows(&self, name: &str) -> Result<Rows> {
        let (n, k) = (self.config.vocab_size, self.config.hidden_size);
        Ok(match self.checkpoint.table(name, n, k)? {
            Table::Floats(floats) => Rows::Floats(floats, k),
            Table::Ternary(ternary) => Rows::Ternary(Linear { norm: None, ternary, n, k }),
        })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        let gain = self.checkpoint.vector(&format!("{name}.weight"), width)?;
        Ok(Norm { gain, eps: self.config.rms_norm_eps })
    }

    fn layer_norm(&self, part: &str, width: usize) -> Result<Norm> {
        self.norm(&format!("model.layers.0.{part}"), width)
    }

    fn optional(&self, exists: bool, part: &str, width: usize) -> Result<Option<Norm>> {
        exists.then(|| self.layer_norm(part, width)).transpose()
    }

    fn linear(&self, part: &str, n: usize, k: usize) -> Result<Layer> {
        let module = format!("model.layers.0.{part}");
        let name = format!("{module}.weight");
        if self.config.float_modules.contains(&module) {
            let weights = self.checkpoint.floats(&name, n, k)?.get().to_vec();
            return Ok(Layer::Floats(weights));
        }
        let norm = |eps| -> Result<Norm> { Ok(Norm { eps, ..self.norm(&format!("{module}.rms_norm"), k)? }) };
        let norm = self.config.linear_norm_eps.map(norm).transpose()?;
        Ok(Layer::Ternary(Linear { norm, ternary: self.checkpoint.ternary(&name, n, k)?, n, k }))
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
