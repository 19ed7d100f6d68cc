//! The forward pass of BitNet b1.58 2B-4T (Ma et al. 2025; transformers' `BitNetForCausalLM`).

use tercet_codegen::Activations;
use tercet_pool::Pool;

use super::Model;
use super::dot::{add_rows, dot_rows, dot_stored};
use super::head::{Candidates, Rows};
use super::ops;
use super::state::{BATCH, Buffers, State};
use super::weights::Layer;
use crate::error::{Error, Result};

/// Which positions' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Logits<'a> {
    /// Only the last token's.
    Last,
    /// Only the last token's, and of these the candidates'.
    Candidates(Candidates<'a>),
    /// Every token's.
    All,
}

impl Model {
    /// Appends `tokens` to the sequence in `state` and returns logits, positions × vocabulary.
    ///
    /// However a sequence is split into calls, its logits are the same bit for bit.
    ///
    /// # Errors
    /// Fails if there are no tokens, one is outside the vocabulary, or they exceed the context; the state is unchanged.
    pub fn forward<'s>(
        &self,
        state: &'s mut State,
        tokens: &[u32],
        wanted: Logits<'_>,
    ) -> Result<&'s mut [f32]> {
        self.check(state, tokens)?;
        state.logits.clear();
        for batch in tokens.chunks(BATCH) {
            self.run_layers(state, batch);
            state.position += batch.len();
            if wanted == Logits::All {
                (0..batch.len()).for_each(|token| self.append_logits(state, token, None));
            }
        }
        let last = (tokens.len() - 1) % BATCH;
        match wanted {
            Logits::All => {}
            Logits::Last => self.append_logits(state, last, None),
            Logits::Candidates(candidates) => self.append_logits(state, last, Some(candidates)),
        }
        Ok(&mut state.logits)
    }

    fn check(&self, state: &State, tokens: &[u32]) -> Result<()> {
        if tokens.is_empty() {
            return Err(Error::bad_argument("the prompt", "it has no tokens", "give at least one"));
        }
        let vocabulary = self.config.vocab_size;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            let problem = format!("token {token} is outside the vocabulary of {vocabulary}");
            return Err(Error::bad_argument("the prompt", problem, "use ids of this model's tokenizer"));
        }
        let total = state.position() + tokens.len();
        if total > state.context() {
            return Err(Error::ContextExceeded { tokens: total, context: state.context() });
        }
        Ok(())
    }

    fn run_layers(&self, state: &mut State, tokens: &[u32]) {
        let residual = state.buffers.residual.chunks_mut(self.config.hidden_size);
        tokens.iter().zip(residual).for_each(|(&token, residual)| self.weights.embed(token, residual));
        for (i, layer) in self.weights.layers.iter().enumerate() {
            self.attention_block(layer, i, state, tokens.len());
            self.feed_forward_block(layer, state, tokens.len());
        }
    }

    /// residual += O · sub_norm(attention(Q, K, V)), with Q, K, V of the normed residual.
    fn attention_block(&self, layer: &Layer, index: usize, state: &mut State, tokens: usize) {
        let (pool, eps) = (&self.pool, self.config.rms_norm_eps);
        let b = &mut state.buffers;
        norm_and_quantize(pool, &b.residual, &layer.attention_norm, eps, tokens, &mut b.normed, &mut b.acts);
        layer.q.apply(pool, &b.acts, &mut b.q);
        layer.k.apply(pool, &b.acts, &mut b.k);
        layer.v.apply(pool, &b.acts, &mut b.v);
        self.rotate(state, tokens);
        let b = &state.buffers;
        let kv = tokens * layer.k.n();
        state.cache.store(index, state.position, &b.k[..kv], &b.v[..kv]);
        self.attend(index, state, tokens);
        let b = &mut state.buffers;
        norm_and_quantize(
            pool,
            &b.attended,
            &layer.attention_sub_norm,
            eps,
            tokens,
            &mut b.normed,
            &mut b.acts,
        );
        layer.o.apply(pool, &b.acts, &mut b.product);
        ops::add(&mut b.residual, &b.product, tokens * layer.o.n());
    }

    /// residual += down · sub_norm(relu²(gate) · up), with gate and up of the normed residual.
    fn feed_forward_block(&self, layer: &Layer, state: &mut State, tokens: usize) {
        let (pool, eps) = (&self.pool, self.config.rms_norm_eps);
        let Buffers { residual, normed, acts, gate, up, product, .. } = &mut state.buffers;
        norm_and_quantize(pool, residual, &layer.ffn_norm, eps, tokens, normed, acts);
        layer.gate.apply(pool, acts, gate);
        layer.up.apply(pool, acts, up);
        let ffn = layer.gate.n();
        pool.chunks(&mut gate[..tokens * ffn], ffn, |token, gate| {
            ops::relu2_gate(gate, &up[token * ffn..][..ffn])
        });
        norm_and_quantize(pool, gate, &layer.ffn_sub_norm, eps, tokens, normed, acts);
        layer.down.apply(pool, acts, product);
        ops::add(residual, product, tokens * layer.down.n());
    }

    /// Turns the batch's queries and keys by their positions.
    fn rotate(&self, state: &mut State, tokens: usize) {
        let dim = self.config.head_dim;
        let Buffers { q, k, .. } = &mut state.buffers;
        for (heads, count) in [(q, self.config.heads), (k, self.config.kv_heads)] {
            for (token, heads) in heads.chunks_mut(count * dim).take(tokens).enumerate() {
                let (cos, sin) = state.rotary.at(state.position + token);
                heads.chunks_mut(dim).for_each(|head| ops::rotate(head, cos, sin));
            }
        }
    }

    /// Causal grouped-query attention of the batch over everything cached (Ainslie et al. 2023).
    fn attend(&self, layer: usize, state: &mut State, tokens: usize) {
        let (heads, dim) = (self.config.heads, self.config.head_dim);
        let group = heads / self.config.kv_heads;
        let scale = 1.0 / (dim as f32).sqrt();
        let State { position, cache, buffers: Buffers { q, attended, .. }, .. } = state;
        self.pool.chunks(&mut attended[..tokens * heads * dim], dim, |i, out| {
            let (token, head) = (i / heads, i % heads);
            let (keys, values) = cache.read(layer, head / group, *position + token + 1);
            let query = &q[i * dim..][..dim];
            let mut scores = vec![0.0; keys.len() / dim];
            dot_rows(query, keys, scale, &mut scores);
            ops::softmax(&mut scores);
            add_rows(out, values, &scores);
        });
    }

    /// The logits of one token of the batch, or of the candidates if the head can tell which rows do not matter.
    fn append_logits(&self, state: &mut State, token: usize, candidates: Option<Candidates<'_>>) {
        const ROWS: usize = 64;
        let (hidden, eps) = (self.config.hidden_size, self.config.rms_norm_eps);
        let State { logits, head, buffers: Buffers { residual, normed, .. }, .. } = state;
        let normed = &mut normed[..hidden];
        ops::rms_norm(normed, &residual[token * hidden..][..hidden], &self.weights.norm, eps);
        let start = logits.len();
        logits.resize(start + self.config.vocab_size, 0.0);
        let logits = &mut logits[start..];
        if let (Some(screen), Some(candidates)) = (&self.screen, candidates) {
            return screen.logits(&self.pool, &self.weights, normed, candidates, head, logits);
        }
        self.pool.chunks(logits, ROWS, |chunk, logits| {
            for (i, logit) in logits.iter_mut().enumerate() {
                *logit = dot_stored(normed, self.weights.row(chunk * ROWS + i));
            }
        });
    }
}

/// Leaves int8 activations of the normed first `tokens` tokens of `x` in `acts`.
fn norm_and_quantize(
    pool: &Pool,
    x: &[f32],
    gain: &[f32],
    eps: f32,
    tokens: usize,
    normed: &mut [f32],
    acts: &mut Activations,
) {
    let width = gain.len();
    acts.reset(tokens, width);
    let mut rows: Vec<_> = acts.rows_mut().zip(normed.chunks_mut(width)).collect();
    pool.chunks(&mut rows, 1, |token, row| {
        let (row, normed) = &mut row[0];
        ops::rms_norm(normed, &x[token * width..][..width], gain, eps);
        row.set(|out| ops::quantize(out, normed));
    });
}
