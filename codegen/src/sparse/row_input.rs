//! The rows of W that a few tokens need, with the tokens' activations.

use std::ops::Range;

use multiversion::multiversion;

use super::{QUAD, ROWS_FAR, RowMatrix, list_counting};
use crate::activations::Activations;
use crate::packing::BLOCK_BYTES;

/// Rows to multiply, in quads of four, and activations.
#[derive(Clone, Debug, Default)]
pub struct RowInput {
    /// The rows.
    rows: Vec<u32>,
    /// Bytes from the matrix's first block to those of the rows. The last row completes the last quad. The prefetched
    /// offsets of [`ROWS_FAR`] and some more follow.
    offsets: Vec<u32>,
    /// `[64 columns][token][column]`.
    acts: Vec<i8>,
    tokens: usize,
    /// Rows that some token needs, while the list is made for several.
    any: Vec<u8>,
    k: usize,
}

impl RowInput {
    /// Takes some tokens of `acts`, and the rows of `weights` whose gate is positive, or not a number, for one of these. `gates`
    /// is all tokens × n.
    ///
    /// # Panics
    /// If the activations have groups, another k or fewer tokens, or the gates are not tokens × n.
    pub fn set(&mut self, weights: &RowMatrix, gates: &[f32], acts: &Activations, tokens: Range<usize>) {
        let (n, k) = (weights.n(), weights.k());
        assert_eq!((acts.groups(), acts.k()), (1, k), "the activations have groups or another k");
        assert_eq!(gates.len(), acts.tokens() * n, "gates are tokens × n");
        self.k = k;
        let gates = &gates[tokens.start * n..tokens.end * n];
        if tokens.len() == 1 {
            list_counting(gates, 1, &mut self.rows, counts);
        } else {
            self.any.clear();
            self.any.resize(n, 0);
            gates.chunks_exact(n).for_each(|gates| join(&mut self.any, gates));
            list_counting(&self.any, 1, &mut self.rows, |any| *any != 0);
        }
        let row_bytes = (weights.lines() * BLOCK_BYTES) as u32;
        self.offsets.clear();
        self.offsets.extend(self.rows.iter().map(|row| row * row_bytes));
        let last = self.offsets.last().copied().unwrap_or(0);
        self.offsets.resize(self.rows.len().next_multiple_of(QUAD) + ROWS_FAR + QUAD, last);

        self.tokens = tokens.len();
        self.acts.clear();
        for column in (0..k).step_by(BLOCK_BYTES) {
            tokens.clone().for_each(|token| {
                self.acts.extend_from_slice(&acts.row(token)[column..][..BLOCK_BYTES]);
            });
        }
    }

    /// Returns the rows.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Returns the number of quads.
    pub fn quads(&self) -> usize {
        self.rows.len().div_ceil(QUAD)
    }

    /// Returns the number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Returns the columns of the matrix.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Returns the offsets of the quads from `first` on, and of prefetches.
    pub(super) fn offsets(&self, first: usize) -> &[u32] {
        &self.offsets[first * QUAD..]
    }

    /// Returns the activations: k of each token.
    pub(super) fn acts(&self) -> &[i8] {
        &self.acts
    }
}

/// Returns true if a gate is positive or not a number.
fn counts(gate: &f32) -> bool {
    *gate > 0.0 || gate.is_nan()
}

/// Marks the rows whose gate [counts].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn join(any: &mut [u8], gates: &[f32]) {
    any.iter_mut().zip(gates).for_each(|(any, gate)| *any |= u8::from(counts(gate)));
}
