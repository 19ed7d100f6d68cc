//! The first layer in plain, sequential steps.

use tercet_kernels_ref::{gemm, ops, quantize};

use crate::error::Result;
use crate::formats::{Checkpoint, ModelFiles, StoredFloats, Ternary, open_checkpoint};
use crate::model::Config;

/// Logits of every token after one layer, the last norm and the head: tokens × vocabulary.
pub(super) fn logits(files: &ModelFiles, config: &Config, tokens: &[u32]) -> Result<Vec<f32>> {
    let reader = Reader { checkpoint: open_checkpoint(files)?, config };
    let embedding = reader.matrix("model.embed_tokens.weight")?;
    let head = match config.tie_word_embeddings {
        true => embedding.clone(),
        false => reader.matrix("lm_head.weight")?,
    };
    let mut residual: Vec<Vec<f32>> =
        tokens.iter().map(|&token| row(&embedding, token as usize, config)).collect();
    reader.attention(&mut residual)?;
    reader.feed_forward(&mut residual)?;

    let gain = reader.checkpoint.vector("model.norm.weight", config.hidden_size)?;
    let normed: Vec<Vec<f32>> =
        residual.iter().map(|x| ops::rms_norm(x, &gain, config.rms_norm_eps)).collect();
    let mut logits = vec![0.0; tokens.len() * config.vocab_size];
    for token in 0..config.vocab_size {
        let weights = row(&head, token, config);
        for (position, hidden) in normed.iter().enumerate() {
            logits[position * config.vocab_size + token] = ops::logits(hidden, &weights)[0];
        }
    }
    Ok(logits)
}

fn row(matrix: &StoredFloats, index: usize, config: &Config) -> Vec<f32> {
    matrix.get().slice(index * config.hidden_size, config.hidden_size).to_vec()
}

struct Reader<'a> {
    checkpoint: Box<dyn Checkpoint>,
    config: &'a Config,
}

/// A ternary matrix and what its sums are multiplied by.
struct Linear {
    trits: Vec<i8>,
    n: usize,
    k: usize,
    scale: f32,
}

impl Linear {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let (acts, s) = quantize::absmax(x);
        let sums = gemm::gemm(&self.trits, &acts, self.n, self.k, 1);
        sums.into_iter().map(|sum| gemm::scaled(sum, self.scale / s)).collect()
    }
}

impl Reader<'_> {
    fn attention(&self, residual: &mut [Vec<f32>]) -> Result<()> {
        let Config { hidden_size: hidden, heads, kv_heads, head_dim, rms_norm_eps: eps, rope_theta, .. } =
            *self.config;
        let gain = self.gain("input_layernorm", hidden)?;
        let sub_gain = self.gain("self_attn.attn_sub_norm", heads * head_dim)?;
        let q = self.linear("self_attn.q_proj", heads * head_dim, hidden)?;
        let k = self.linear("self_attn.k_proj", kv_heads * head_dim, hidden)?;
        let v = self.linear("self_attn.v_proj", kv_heads * head_dim, hidden)?;
        let o = self.linear("self_attn.o_proj", hidden, heads * head_dim)?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (position, x) in residual.iter_mut().enumerate() {
            let normed = ops::rms_norm(x, &gain, eps);
            let (mut query, mut key) = (q.apply(&normed), k.apply(&normed));
            ops::rope(&mut query, head_dim, position, rope_theta);
            ops::rope(&mut key, head_dim, position, rope_theta);
            keys.extend(key);
            values.extend(v.apply(&normed));
            let attended = ops::attention(&query, &keys, &values, heads, kv_heads);
            add(x, &o.apply(&ops::rms_norm(&attended, &sub_gain, eps)));
        }
        Ok(())
    }

    fn feed_forward(&self, residual: &mut [Vec<f32>]) -> Result<()> {
        let Config { hidden_size: hidden, intermediate_size: ffn, rms_norm_eps: eps, .. } = *self.config;
        let gain = self.gain("post_attention_layernorm", hidden)?;
        let sub_gain = self.gain("mlp.ffn_sub_norm", ffn)?;
        let gate = self.linear("mlp.gate_proj", ffn, hidden)?;
        let up = self.linear("mlp.up_proj", ffn, hidden)?;
        let down = self.linear("mlp.down_proj", hidden, ffn)?;
        for x in residual {
            let normed = ops::rms_norm(x, &gain, eps);
            let gated = ops::relu2_gate(&gate.apply(&normed), &up.apply(&normed));
            add(x, &down.apply(&ops::rms_norm(&gated, &sub_gain, eps)));
        }
        Ok(())
    }

    fn matrix(&self, name: &str) -> Result<StoredFloats> {
        self.checkpoint.floats(name, self.config.vocab_size, self.config.hidden_size)
    }

    fn gain(&self, part: &str, len: usize) -> Result<Vec<f32>> {
        self.checkpoint.vector(&format!("model.layers.0.{part}.weight"), len)
    }

    fn linear(&self, part: &str, n: usize, k: usize) -> Result<Linear> {
        let name = format!("model.layers.0.{part}.weight");
        let Ternary { trits, scales } = self.checkpoint.ternary(&name, n, k)?;
        Ok(Linear { trits, n, k, scale: scales.whole(&name)? })
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
