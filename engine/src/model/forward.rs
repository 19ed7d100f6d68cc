//! The forward pass of a decoder-only transformer with ternary layers.
//!
//! It computes transformers' `BitNetForCausalLM`, `LlamaForCausalLM`, `Qwen3ForCausalLM` and `Gemma3ForCausalLM`. The
//! [`Config`](super::Config) decides which blocks a layer has.

mod logits;
mod parts;

use super::Model;
use super::attention::{Gathered, Query, SEGMENT};
use super::buffers::{BATCH, Buffers};
use super::cache::Head;
use super::head::Candidates;
use super::input::Input;
use super::norm::Norm;
use super::rotary::Rotary;
use super::sparsity::Zeros;
use super::state::State;
use super::weights::Layer;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::pool::Team;
use crate::vectors::ops;
pub use logits::Logits;
use logits::reserve;
pub(crate) use parts::Part;
use tercet_formats::config::Activation;

/// One sequence's tokens in a batch, which are consecutive there.
struct Run<'s> {
    state: &'s mut State,
    tokens: usize,
}

impl Model {
    /// Appends `tokens` to the sequence in `state` and returns logits, positions × vocabulary.
    ///
    /// A sequence's logits have the same bits however it is split into calls.
    ///
    /// # Errors
    /// Fails if
    /// - there are no tokens, one is outside the vocabulary, or they exceed the context,
    /// - the system refuses the memory of the logits,
    /// - the caller [cancels](State::set_cancel),
    /// - the logits of the last or of all tokens are not numbers, because the model is damaged.
    ///
    /// The state is unchanged then, but for its logits. Also fails if the model's file was changed in place meanwhile; the
    /// state is useless then.
    ///
    /// # Panics
    /// If `wanted` asks for the logits of more tokens than there are.
    pub fn forward<'s>(
        &self,
        state: &'s mut State,
        tokens: &[u32],
        wanted: Logits<'_>,
    ) -> Result<&'s mut [f32]> {
        self.check(state, tokens)?;
        state.logits.clear();
        let (count, mut candidates) = match &wanted {
            Logits::None => (0, &[][..]),
            Logits::Last => (1, &[][..]),
            Logits::Candidates(candidates) => (1, std::slice::from_ref(candidates)),
            Logits::LastCandidates(candidates) => (candidates.len(), *candidates),
            Logits::LastTokens(count) => (*count, &[][..]),
            Logits::All => (tokens.len(), &[][..]),
        };
        assert!(count <= tokens.len(), "logits of more tokens than there are");
        reserve(&mut state.logits, count, self.config.vocab_size)?;
        let first = tokens.len() - count;
        let (start, end) = (state.position, state.position + tokens.len());
        state.cache.reach(start, end)?;
        let cancel = state.cancel.clone();
        let cancelled = || cancel.is_cancelled();
        let outcome = self.buffers.lend(&self.config, |buffers| {
            buffers.reach(&self.config, end);
            for (batch, at) in tokens.chunks(BATCH).zip((0..).step_by(BATCH)) {
                let kept = (at + batch.len()).saturating_sub(first.max(at));
                let team = Team::until(self.pool(batch.len()), &cancelled);
                self.run_layers(team, buffers, &mut [Run { state, tokens: batch.len() }], batch, kept)?;
                state.position += batch.len();
                let (here, later) = candidates.split_at(kept.min(candidates.len()));
                self.append_logits(team, buffers, kept, here, &mut state.logits)?;
                candidates = later;
            }
            Ok(())
        });
        let whole = matches!(wanted, Logits::Last | Logits::LastTokens(_) | Logits::All);
        let outcome = outcome.and_then(|()| self.weights.check()).and_then(|()| {
            let numbers = !whole || state.logits.iter().all(|logit| logit.is_finite());
            if numbers { Ok(()) } else { Err(self.yields_no_numbers()) }
        });
        if let Err(error) = outcome {
            state.position = start;
            return Err(error);
        }
        Ok(&mut state.logits)
    }

    /// Most sequences of [`Model::forward_each`].
    pub const MOST_SEQUENCES: usize = BATCH;

    /// Appends one token to each of several sequences, and leaves the logits of its candidates in each state.
    ///
    /// All sequences share one read of the weights. Every sequence gets the same bits as from
    /// [`Model::forward`].
    ///
    /// # Errors
    /// Fails if a token is outside the vocabulary or exceeds its sequence's context, or if the callers of all sequences
    /// cancel. The states are unchanged then. Also fails if the model's file was changed in place meanwhile.
    ///
    /// # Panics
    /// If the numbers of sequences, tokens and candidates differ, or exceed [`Model::MOST_SEQUENCES`].
    pub fn forward_each(
        &self,
        states: &mut [&mut State],
        tokens: &[u32],
        candidates: &[Candidates<'_>],
    ) -> Result<()> {
        assert!(states.len() == tokens.len() && tokens.len() == candidates.len() && tokens.len() <= BATCH);
        let mut pairs = states.iter().zip(tokens.chunks(1));
        pairs.try_for_each(|(state, token)| self.check(state, token))?;
        let cancels: Vec<Cancel> = states.iter().map(|state| state.cancel.clone()).collect();
        let cancelled = || cancels.iter().all(Cancel::is_cancelled);
        let (team, mut logits) = (Team::until(self.pool(tokens.len()), &cancelled), Vec::new());
        reserve(&mut logits, tokens.len(), self.config.vocab_size)?;
        states.iter_mut().try_for_each(|state| state.cache.reach(state.position, state.position + 1))?;
        let end = states.iter().map(|state| state.position + 1).max().unwrap_or(0);
        self.buffers.lend(&self.config, |buffers| {
            buffers.reach(&self.config, end);
            let mut runs: Vec<_> = states.iter_mut().map(|state| Run { state, tokens: 1 }).collect();
            self.run_layers(team, buffers, &mut runs, tokens, tokens.len())?;
            self.append_logits(team, buffers, tokens.len(), candidates, &mut logits)
        })?;
        self.weights.check()?;
        for (state, logits) in states.iter_mut().zip(logits.chunks_exact(self.config.vocab_size)) {
            state.position += 1;
            state.logits.clear();
            state.logits.extend_from_slice(logits);
        }
        Ok(())
    }

    /// Checks that `tokens` can be appended to the sequence in `state`.
    ///
    /// # Errors
    /// Fails if there are no tokens, one is outside the vocabulary, or they exceed the context.
    pub(crate) fn check(&self, state: &State, tokens: &[u32]) -> Result<()> {
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

    /// Runs the batch through all layers.
    ///
    /// Stores the keys and values of every token in its run's cache. Only the last `kept` tokens go
    /// through the last layer to its end; the residual starts with their results.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the caller no longer wants the result.
    fn run_layers(
        &self,
        team: Team<'_>,
        buffers: &mut Buffers,
        runs: &mut [Run<'_>],
        tokens: &[u32],
        kept: usize,
    ) -> Result<()> {
        let residual = buffers.residual.chunks_mut(self.config.hidden_size);
        let scale = self.config.embedding_scale;
        for (&token, residual) in tokens.iter().zip(residual) {
            self.weights.embed(token, residual);
            if scale != 1.0 {
                residual.iter_mut().for_each(|x| *x *= scale);
            }
        }
        let last = self.weights.layers.len() - 1;
        for (i, layer) in self.weights.layers.iter().enumerate() {
            let kept = if i == last { kept } else { tokens.len() };
            self.attention_block(team, layer, i, buffers, runs, kept)?;
            self.feed_forward_block(team, layer, i, buffers, kept)?;
        }
        Ok(())
    }

    /// Adds O · sub_norm(attention(Q, K, V)) to the residual, with Q, K and V from the normed residual.
    ///
    /// Does so for the last `kept` tokens only, and moves these to the start of the residual.
    fn attention_block(
        &self,
        team: Team<'_>,
        layer: &Layer,
        index: usize,
        buffers: &mut Buffers,
        runs: &mut [Run<'_>],
        kept: usize,
    ) -> Result<()> {
        let hidden = self.config.hidden_size;
        let tokens = runs.iter().map(|run| run.tokens).sum::<usize>();
        let Buffers { residual, rounded, q, k, v, attended, product, segments, .. } = buffers;
        let (rotary, window) = match &self.config.local_attention {
            Some(local) if local.layers[index] => (buffers.local_rotary.as_ref(), local.window),
            _ => (None, usize::MAX),
        };
        let rotary = rotary.unwrap_or(&buffers.rotary);
        let (x, norm) = (&residual[..tokens * hidden], Some(&layer.attention_norm));
        let mut input = Input::new(team, x, hidden, norm, rounded);
        let first = tokens - kept;
        if first == 0 {
            input.multiply([(&layer.k, k), (&layer.v, v), (&layer.q, q)]);
        } else {
            input.multiply([(&layer.k, k), (&layer.v, v)]);
            if kept > 0 {
                input.keep_last(kept);
                input.multiply([(&layer.q, q)]);
            }
        }
        // The cache must only get the results of whole products.
        team.check()?;
        let [q_norm, k_norm] =
            layer.query_key_norms.as_ref().map_or([None; 2], |norms| norms.each_ref().map(Some));
        let (width, kv_width) = (layer.q.n(), layer.k.n());
        let mut start = 0;
        for Run { state, tokens } in runs {
            let (position, of_run) = (state.position, start * kv_width..(start + *tokens) * kv_width);
            let (k, v) = (&mut k[of_run.clone()], &v[of_run]);
            self.turn_heads(team, k_norm, rotary, position, k, kv_width);
            state.cache.store(&team, index, position, k, v);
            let skipped = first.saturating_sub(start).min(*tokens);
            let queries = (start + skipped).saturating_sub(first) * width
                ..(start + *tokens).saturating_sub(first) * width;
            let (q, attended) = (&mut q[queries.clone()], &mut attended[queries]);
            self.turn_heads(team, q_norm, rotary, position + skipped, q, width);
            let cached = |head| state.cache.head(index, head);
            match *tokens - skipped {
                0 => {}
                1 => self.attend_one(team, cached, position + skipped, window, q, segments, attended),
                _ => self.attend(team, cached, position + skipped, window, q, attended),
            }
            start += *tokens;
        }
        if kept == 0 {
            return Ok(());
        }
        residual.copy_within(first * hidden..tokens * hidden, 0);
        let norm = layer.attention_sub_norm.as_ref();
        Input::new(team, &attended[..kept * width], width, norm, rounded).multiply([(&layer.o, product)]);
        self.add(team, residual, product, layer.attention_post_norm.as_ref(), kept);
        team.check()
    }

    /// Adds down · sub_norm(activation(gate) · up) to the residual, with gate and up from the normed
    /// residual.
    fn feed_forward_block(
        &self,
        team: Team<'_>,
        layer: &Layer,
        index: usize,
        buffers: &mut Buffers,
        tokens: usize,
    ) -> Result<()> {
        let (hidden, ffn) = (self.config.hidden_size, layer.gate.n());
        let Buffers { residual, rounded, gate, up, product, .. } = buffers;
        let (x, norm) = (&residual[..tokens * hidden], Some(&layer.ffn_norm));
        let mut input = Input::new(team, x, hidden, norm, rounded);
        let mut skipped_bytes = 0;
        if layer.up.gated(tokens).is_some() {
            input.multiply([(&layer.gate, gate)]);
            skipped_bytes = input.multiply_gated(&layer.up, &gate[..tokens * ffn], up);
        } else {
            input.multiply([(&layer.gate, gate), (&layer.up, up)]);
        }
        let gate = &mut gate[..tokens * ffn];
        let zeros = self.meter.gates(gate);
        team.chunks(gate, ffn, |token, gate| {
            let up = &up[token * ffn..][..ffn];
            match self.config.activation {
                Activation::Relu2 => ops::relu2_gate(gate, up),
                Activation::Silu => ops::silu_gate(gate, up),
                Activation::GeluTanh => ops::gelu_gate(gate, up),
            }
        });
        let mut input = Input::new(team, gate, ffn, layer.ffn_sub_norm.as_ref(), rounded);
        input.multiply([(&layer.down, product)]);
        if let Some(zeros) = zeros {
            let skipped_bytes = (skipped_bytes + input.skipped_bytes()) as u64;
            self.meter.add_zeros(index, Zeros { inputs: input.zeros() as u64, skipped_bytes, ..zeros });
        }
        self.add(team, residual, product, layer.ffn_post_norm.as_ref(), tokens);
        team.check()
    }

    /// Adds `x`, after the norm, to the residual, for the first `tokens` tokens.
    fn add(&self, team: Team<'_>, residual: &mut [f32], x: &mut [f32], norm: Option<&Norm>, tokens: usize) {
        let hidden = self.config.hidden_size;
        if let Some(norm) = norm {
            team.chunks(&mut x[..tokens * hidden], hidden, |_, x| norm.apply_in_place(x));
        }
        team.chunks(&mut residual[..tokens * hidden], hidden, |token, residual| {
            ops::add(residual, &x[token * hidden..][..hidden]);
        });
    }

    /// Applies the norm and the rotary embedding to every head of consecutive tokens.
    ///
    /// Each token is `width` wide, and the first one is at `position`.
    fn turn_heads(
        &self,
        team: Team<'_>,
        norm: Option<&Norm>,
        rotary: &Rotary,
        position: usize,
        tokens: &mut [f32],
        width: usize,
    ) {
        team.chunks(tokens, width, |token, heads| {
            let (cos, sin) = rotary.at(position + token);
            for head in heads.chunks_mut(self.config.head_dim) {
                norm.into_iter().for_each(|norm| norm.apply_in_place(head));
                ops::rotate(head, cos, sin);
            }
        });
    }

    /// Computes causal grouped-query attention (Ainslie et al. 2023) for one token, with the queries `q`.
    ///
    /// The token is at `position`, sees the latest `window` positions, and `cached` yields a KV head's keys and values. A task is
    /// one segment of one KV head.
    #[expect(clippy::too_many_arguments, reason = "the place of a token, and what it reads and writes")]
    fn attend_one<'c>(
        &self,
        team: Team<'_>,
        cached: impl Fn(usize) -> Head<'c> + Sync,
        position: usize,
        window: usize,
        q: &[f32],
        segments: &mut [Gathered],
        attended: &mut [f32],
    ) {
        let (group, dim) = (self.config.heads / self.config.kv_heads, self.config.head_dim);
        let (width, visible) = (group * dim, position + 1);
        let hidden = visible.saturating_sub(window);
        let begin = hidden / SEGMENT;
        let used = visible.div_ceil(SEGMENT) - begin;
        let segments = &mut segments[..self.config.kv_heads * used];
        team.chunks(segments, 1, |task, gathered| {
            if team.is_cancelled() {
                return;
            }
            let (head, segment) = (task / used, begin + task % used);
            let queries = q[head * width..][..width].chunks_exact(dim);
            gathered[0].gather(
                queries.map(|elements| Query { elements, hidden, visible }),
                cached(head),
                segment,
                self.score_scale(),
            );
        });
        for (segments, out) in segments.chunks_mut(used).zip(attended.chunks_mut(width)) {
            let (first, later) = segments.split_at_mut(1);
            later.iter().for_each(|later| first[0].merge(later));
            first[0].write_means(out.chunks_exact_mut(dim));
        }
    }

    /// Computes causal grouped-query attention for consecutive tokens, the first one at `position`. Each sees the latest `window`
    /// positions.
    ///
    /// `cached` yields a KV head's keys and values. A task is a few tokens.
    fn attend<'c>(
        &self,
        team: Team<'_>,
        cached: impl Fn(usize) -> Head<'c> + Sync,
        position: usize,
        window: usize,
        q: &[f32],
        attended: &mut [f32],
    ) {
        /// Tokens per task: enough to share the reads of keys, and few enough to give many tasks.
        const TOKENS: usize = 8;
        let (heads, kv_heads, dim) = (self.config.heads, self.config.kv_heads, self.config.head_dim);
        let (group, width) = (heads / kv_heads, heads * dim);
        team.chunks(attended, TOKENS * width, |task, out| {
            let (first, count) = (task * TOKENS, out.len() / width);
            let [mut all, mut segment] = [(); 2].map(|()| Gathered::new(count * group, dim));
            let begin = (position + first + 1).saturating_sub(window) / SEGMENT;
            for head in 0..kv_heads {
                let of_head = head * group * dim..(head + 1) * group * dim;
                let queries = (first..first + count).flat_map(|token| {
                    let visible = position + token + 1;
                    let elements = q[token * width..][of_head.clone()].chunks_exact(dim);
                    let hidden = visible.saturating_sub(window);
                    elements.map(move |elements| Query { elements, hidden, visible })
                });
                let cached = cached(head);
                if team.is_cancelled() {
                    return;
                }
                all.gather(queries.clone(), cached, begin, self.score_scale());
                for later in begin + 1..(position + first + count).div_ceil(SEGMENT) {
                    if team.is_cancelled() {
                        return;
                    }
                    segment.gather(queries.clone(), cached, later, self.score_scale());
                    all.merge(&segment);
                }
                let rows = out.chunks_exact_mut(width);
                all.write_means(rows.flat_map(|row| row[of_head.clone()].chunks_exact_mut(dim)));
            }
        });
    }

    fn score_scale(&self) -> f32 {
        1.0 / (self.config.head_dim as f32).sqrt()
    }
}
