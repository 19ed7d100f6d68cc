//! The last step of a forward pass: from the residual to the logits that a caller wants.

use std::ops::Range;

use tercet_codegen::ColumnsMut;

use super::super::Model;
use super::super::buffers::Buffers;
use super::super::head::{Candidates, Rows};
use super::super::input::Input;
use super::super::weights::Table;
use crate::error::{Error, Result};
use crate::memory;
use crate::pool::{self, Team};
use crate::runtime::HeadMode;
use crate::vectors::dot::dot_stored;

/// The logits that a caller wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Logits<'a> {
    /// No logits: the call only fills the KV cache.
    None,
    /// Logits of the last token.
    Last,
    /// Logits of the last token, for the candidates only.
    Candidates(Candidates<'a>),
    /// Logits of the last tokens, one token per element, for that element's candidates only. This checks
    /// a draft of several tokens in one call.
    LastCandidates(&'a [Candidates<'a>]),
    /// Logits of this number of last tokens.
    LastTokens(usize),
    /// Logits of every token.
    All,
}

impl Model {
    /// Tokens per read of the head: enough to share it, and few enough to keep the sums of all rows
    /// small.
    pub(super) const HEAD_TOKENS: usize = 16;

    /// Appends the logits of the first `tokens` tokens of the residual.
    ///
    /// With candidates, and a head that can screen its rows, it computes the candidates' logits only.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the caller no longer wants the result.
    pub(super) fn append_logits(
        &self,
        team: Team<'_>,
        buffers: &mut Buffers,
        tokens: usize,
        candidates: &[Candidates<'_>],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        let vocabulary = self.config.vocab_size;
        let start = logits.len();
        logits.resize(start + tokens * vocabulary, 0.0);
        self.norm_last(buffers, tokens);
        for (i, logits) in logits[start..].chunks_mut(Self::HEAD_TOKENS * vocabulary).enumerate() {
            let first = i * Self::HEAD_TOKENS;
            let tokens = first..first + logits.len() / vocabulary;
            let candidates = candidates.get(tokens.clone());
            self.head(team, buffers, tokens, candidates, logits);
            team.check()?;
        }
        Ok(())
    }

    /// Computes the last norms of the first `tokens` tokens of the residual.
    pub(super) fn norm_last(&self, buffers: &mut Buffers, tokens: usize) {
        let hidden = self.config.hidden_size;
        let Buffers { residual, normed, .. } = buffers;
        let rows = normed.chunks_exact_mut(hidden).zip(residual.chunks_exact(hidden));
        rows.take(tokens).for_each(|(normed, residual)| self.weights.norm.apply(normed, residual));
    }

    /// Writes the logits of `tokens`, from their last norms in `buffers`.
    pub(super) fn head(
        &self,
        team: Team<'_>,
        buffers: &mut Buffers,
        tokens: Range<usize>,
        candidates: Option<&[Candidates<'_>]>,
        logits: &mut [f32],
    ) {
        let predictions = tokens.len();
        let (rows, screen_bytes) = self.head_rows(team, buffers, tokens, candidates, logits);
        self.meter.add_predictions(predictions, rows, screen_bytes);
    }

    /// Does the work of [`Model::head`]. Returns the number of rows that it computed exactly, over all tokens, and the bytes of
    /// the screen that it read.
    fn head_rows(
        &self,
        team: Team<'_>,
        buffers: &mut Buffers,
        tokens: Range<usize>,
        candidates: Option<&[Candidates<'_>]>,
        logits: &mut [f32],
    ) -> (usize, usize) {
        const ROWS: usize = 64;
        let (hidden, vocabulary) = (self.config.hidden_size, self.config.vocab_size);
        let Buffers { normed, rounded, head: scratch, .. } = buffers;
        let x = &normed[tokens.start * hidden..tokens.end * hidden];
        let rows = match self.weights.head() {
            Table::Floats(rows) => rows,
            Table::Ternary(head) => {
                Input::new(team, x, hidden, None, rounded).multiply([(head, logits)]);
                return (tokens.len() * vocabulary, 0);
            }
        };
        match (&self.screen, candidates) {
            (Some(screen), _) if self.head == HeadMode::Int8 => {
                return (0, screen.approximate(team, x, scratch, logits));
            }
            (_, Some(candidates)) if candidates.iter().all(|one| one.few(vocabulary).is_some()) => {
                let inputs = x.chunks_exact(hidden).zip(logits.chunks_exact_mut(vocabulary));
                let allowed = candidates.iter().filter_map(|one| one.few(vocabulary));
                let computed = inputs.zip(allowed).map(|((x, logits), allowed)| {
                    scratch.selection().compute_allowed(team, rows, x, allowed, logits);
                    allowed.len()
                });
                return (computed.sum(), 0);
            }
            (Some(screen), Some(candidates)) => {
                let read = screen.logits(team, rows, x, candidates, scratch, logits);
                return (scratch.chosen(tokens.len()), read);
            }
            _ => {}
        }
        let logits = ColumnsMut::new(logits, tokens.len(), vocabulary);
        pool::for_columns(team, logits, ROWS, hidden, |mut logits| {
            for (i, row) in logits.columns().enumerate() {
                for (token, x) in x.chunks_exact(hidden).enumerate() {
                    logits.row_mut(token)[i] = dot_stored(x, rows.row(row));
                }
            }
        });
        (tokens.len() * vocabulary, 0)
    }
}

/// Makes room for the logits of `tokens` tokens.
///
/// # Errors
/// [`Error::OutOfMemory`] if the system refuses.
pub(super) fn reserve(logits: &mut Vec<f32>, tokens: usize, vocabulary: usize) -> Result<()> {
    const REMEDY: &str = "ask for fewer tokens at once";
    let (elements, purpose) =
        (tokens.saturating_mul(vocabulary), || format!("the logits of {tokens} tokens"));
    let bytes = memory::product([elements.saturating_sub(logits.capacity()), size_of::<f32>()]);
    memory::require(bytes, purpose, REMEDY)?;
    logits.try_reserve(elements).map_err(|_| Error::out_of_memory(purpose(), bytes, None, REMEDY))
}
