//! A pass over parts of several sequences, which hands on one token's logits after the other.

use super::super::Model;
use super::super::buffers::{BATCH, Buffers};
use super::super::state::State;
use super::Run;
use super::logits::reserve;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::pool::Team;

/// The next tokens of one sequence.
#[derive(Debug)]
pub(crate) struct Part<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) tokens: &'s [u32],
    /// The number of last tokens whose logits or hidden states are wanted.
    pub(crate) wanted: usize,
}

impl Model {
    /// Appends every part to its sequence. Returns what `digest` makes of the logits of each wanted token, in the order of the
    /// parts. `digest` gets the token's number in that order.
    ///
    /// All parts share one read of the weights. Only the logits of a few tokens are in memory at once. They have the same bits
    /// as those of [`Model::forward`].
    ///
    /// # Errors
    /// Those of [`Model::forward`]; none of the sequences grows then.
    ///
    /// # Panics
    /// If the parts have more than [`BATCH`] tokens, or one has fewer than it wants logits of.
    pub(crate) fn forward_parts<T: Default + Send>(
        &self,
        parts: &mut [Part<'_>],
        digest: impl Fn(usize, &[f32]) -> T + Sync,
    ) -> Result<Vec<T>> {
        self.run_parts(parts, |team, buffers, count| self.digest_logits(team, buffers, count, digest))
    }

    /// Appends every part to its sequence. Returns the hidden states of the wanted tokens after the last norm, tokens × hidden,
    /// in the order of the parts.
    ///
    /// All parts share one read of the weights. The output head is not read.
    ///
    /// # Errors
    /// Those of [`Model::forward`]; none of the sequences grows then.
    ///
    /// # Panics
    /// If the parts have more than [`BATCH`] tokens, or one has fewer than it wants states of.
    pub(crate) fn forward_hidden(&self, parts: &mut [Part<'_>]) -> Result<Vec<f32>> {
        self.run_parts(parts, |_, buffers, count| {
            self.norm_last(buffers, count);
            let hidden = &buffers.normed[..count * self.config.hidden_size];
            let numbers = hidden.iter().all(|x| x.is_finite());
            if numbers { Ok(hidden.to_vec()) } else { Err(self.yields_no_numbers()) }
        })
    }

    /// Runs the parts through all layers. Returns what `last` makes of the wanted tokens, whose number it gets: their residual
    /// comes first.
    fn run_parts<R>(
        &self,
        parts: &mut [Part<'_>],
        last: impl FnOnce(Team<'_>, &mut Buffers, usize) -> Result<R>,
    ) -> Result<R> {
        let tokens: Vec<u32> = parts.iter().flat_map(|part| part.tokens).copied().collect();
        assert!(tokens.len() <= BATCH && parts.iter().all(|part| part.wanted <= part.tokens.len()));
        parts.iter().try_for_each(|part| self.check(part.state, part.tokens))?;
        let cancels: Vec<Cancel> = parts.iter().map(|part| part.state.cancel.clone()).collect();
        let cancelled = || cancels.iter().all(Cancel::is_cancelled);
        let team = Team::until(self.pool(tokens.len()), &cancelled);

        let (mut wanted, mut end, mut start) = (Vec::new(), 0, 0);
        for part in parts.iter_mut() {
            let reached = part.state.position + part.tokens.len();
            part.state.cache.reach(part.state.position, reached)?;
            end = end.max(reached);
            start += part.tokens.len();
            wanted.extend(start - part.wanted..start);
        }
        let kept = wanted.first().map_or(0, |first| tokens.len() - first);
        let result = self.buffers.lend(&self.config, |buffers| {
            buffers.reach(&self.config, end);
            let mut runs: Vec<_> = parts
                .iter_mut()
                .map(|part| Run { state: &mut *part.state, tokens: part.tokens.len() })
                .collect();
            self.run_layers(team, buffers, &mut runs, &tokens, kept)?;
            let hidden = self.config.hidden_size;
            for (to, token) in wanted.iter().enumerate() {
                let from = (token - (tokens.len() - kept)) * hidden;
                buffers.residual.copy_within(from..from + hidden, to * hidden);
            }
            last(team, buffers, wanted.len())
        })?;
        self.weights.check()?;
        parts.iter_mut().for_each(|part| part.state.position += part.tokens.len());
        Ok(result)
    }

    /// Digests the logits of the first `count` tokens of the residual.
    fn digest_logits<T: Default + Send>(
        &self,
        team: Team<'_>,
        buffers: &mut Buffers,
        count: usize,
        digest: impl Fn(usize, &[f32]) -> T + Sync,
    ) -> Result<Vec<T>> {
        let vocabulary = self.config.vocab_size;
        let (mut logits, mut digests) = (Vec::new(), Vec::with_capacity(count));
        self.norm_last(buffers, count);
        for first in (0..count).step_by(Self::HEAD_TOKENS) {
            let tokens = first..count.min(first + Self::HEAD_TOKENS);
            if logits.is_empty() {
                reserve(&mut logits, tokens.len(), vocabulary)?;
            }
            logits.resize(tokens.len() * vocabulary, 0.0);
            self.head(team, buffers, tokens.clone(), None, &mut logits);
            team.check()?;
            if !logits.iter().all(|logit| logit.is_finite()) {
                return Err(self.yields_no_numbers());
            }
            let mut some: Vec<T> = tokens.map(|_| T::default()).collect();
            team.chunks(&mut some, 1, |token, made| {
                made[0] = digest(first + token, &logits[token * vocabulary..][..vocabulary]);
            });
            digests.append(&mut some);
        }
        Ok(digests)
    }
}
