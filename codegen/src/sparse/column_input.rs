//! Activations of a few tokens, without the columns that are zero for all of them.

use multiversion::multiversion;

use super::{FAR, QUAD, list_counting};
use crate::activations::Activations;
use crate::packing::BLOCK_BYTES;

/// The columns that some token has, and the tokens' activations there.
///
/// Both are in quads of four columns. Columns with activation 0 complete the last quad.
#[derive(Clone, Debug, Default)]
pub struct ColumnInput {
    /// Bytes from a strip's first block to those of the columns, then the prefetched offsets of [`FAR`] more. These
    /// begin the next strip.
    offsets: Vec<u32>,
    /// `[chunk of tokens][quad][token][column of the quad]`.
    acts: Vec<i8>,
    /// Tokens in each chunk.
    chunks: Vec<usize>,
    /// The bits that the activations of each column have in some token, while the list is made for several.
    any: Vec<u8>,
    k: usize,
}

impl ColumnInput {
    /// Takes the tokens of `acts`, in chunks of at most `most` tokens.
    ///
    /// # Panics
    /// If the activations have groups, or `most` is 0.
    pub fn set(&mut self, acts: &Activations, most: usize) {
        assert_eq!(acts.groups(), 1, "the activations have groups");
        let (tokens, k) = (acts.tokens(), acts.k());
        self.k = k;
        if tokens == 1 {
            list_counting(&acts.row(0)[..k], BLOCK_BYTES, &mut self.offsets, |act| *act != 0);
        } else {
            self.any.clear();
            self.any.resize(k, 0);
            (0..tokens).for_each(|token| join(&mut self.any, &acts.row(token)[..k]));
            list_counting(&self.any, BLOCK_BYTES, &mut self.offsets, |any| *any != 0);
        }
        let columns = self.offsets.len();
        // The last column again, with activation 0.
        let padded = columns.next_multiple_of(QUAD);
        self.offsets.resize(padded, self.offsets.last().copied().unwrap_or(0));

        self.chunks.clear();
        self.acts.clear();
        self.acts.resize(padded * tokens, 0);
        let (mut first, mut rest) = (0, &mut self.acts[..]);
        for left in (1..=tokens.div_ceil(most)).rev() {
            let chunk = (tokens - first).div_ceil(left);
            let (quads, later) = rest.split_at_mut(padded * chunk);
            for token in 0..chunk {
                gather(acts.row(first + token), &self.offsets[..columns], token, chunk, quads);
            }
            self.chunks.push(chunk);
            (first, rest) = (first + chunk, later);
        }
        // The prefetches of a strip's last columns go to the first columns of the next strip.
        let strip = (k * BLOCK_BYTES) as u32;
        for i in 0..FAR {
            let offset = self.offsets.get(i % padded.max(1)).map_or(0, |offset| offset.wrapping_add(strip));
            self.offsets.push(offset);
        }
    }

    /// Returns the number of quads.
    pub fn quads(&self) -> usize {
        self.offsets.len().saturating_sub(FAR) / QUAD
    }

    /// Returns the bytes of the listed columns of a strip.
    pub fn strip_bytes(&self) -> usize {
        self.quads() * QUAD * BLOCK_BYTES
    }

    /// Returns the number of tokens.
    pub fn tokens(&self) -> usize {
        self.chunks.iter().sum()
    }

    /// Returns the columns of the matrix, listed or not.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Returns the offsets of the quads from `first` on, and of prefetches.
    pub(super) fn offsets(&self, first: usize) -> &[u32] {
        &self.offsets[first * QUAD..]
    }

    /// Returns each chunk's number of tokens, and its activations in the quads from `first` on.
    pub(super) fn chunks(&self, first: usize) -> impl Iterator<Item = (usize, &[i8])> {
        let quad_bytes = self.quads() * QUAD;
        let mut rest = &self.acts[..];
        self.chunks.iter().map(move |&tokens| {
            let (of_chunk, later) = rest.split_at(quad_bytes * tokens);
            rest = later;
            (tokens, &of_chunk[first * QUAD * tokens..])
        })
    }
}

/// Adds the bits of a token's activations to `any`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn join(any: &mut [u8], acts: &[i8]) {
    any.iter_mut().zip(acts).for_each(|(any, act)| *any |= *act as u8);
}

/// Writes a token's activations at the listed columns to its places in the quads of a chunk.
fn gather(acts: &[i8], offsets: &[u32], token: usize, tokens: usize, quads: &mut [i8]) {
    let quads = quads.chunks_exact_mut(QUAD * tokens);
    for (offsets, quad) in offsets.chunks(QUAD).zip(quads) {
        for (offset, to) in offsets.iter().zip(&mut quad[token * QUAD..][..QUAD]) {
            *to = acts[*offset as usize / BLOCK_BYTES];
        }
    }
}
