//! Quantized activations, in the form that every kernel reads.

use multiversion::multiversion;

/// A multiple of every packing's step. Rows are padded to it.
const STEP: usize = 80;

/// m tokens of k int8 activations, with each token's sum and output factor.
///
/// With groups, every `size` columns of a token are a row with a sum and a factor of their own. The first groups of all
/// tokens come before the second groups.
///
/// Rows are padded with zeros to whole steps of every packing. Their stride is an odd multiple of 64 bytes, so that the
/// rows of a tile do not share one cache set.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    values: Vec<i8>,
    sums: Vec<i32>,
    factors: Vec<f32>,
    tokens: usize,
    k: usize,
    /// Columns of a group. The last group may have fewer.
    size: usize,
    groups: usize,
    stride: usize,
}

impl Activations {
    /// Returns no tokens, with room for `tokens` rows of up to `k`. So [`Activations::reset`] does not allocate.
    pub fn with_capacity(tokens: usize, k: usize) -> Self {
        let mut acts = Activations::default();
        acts.reset(tokens, k);
        acts
    }

    /// Turns into `tokens` rows of `k` zeros with factor 1.
    pub fn reset(&mut self, tokens: usize, k: usize) {
        self.reset_groups(tokens, k, k);
    }

    /// Turns into `tokens` tokens of `k` zeros, in groups of `size` with factor 1.
    ///
    /// # Panics
    /// If `size` is 0.
    pub fn reset_groups(&mut self, tokens: usize, k: usize, size: usize) {
        (self.tokens, self.k, self.size, self.groups) = (tokens, k, size, k.div_ceil(size));
        let rows = tokens * self.groups;
        self.stride = size.next_multiple_of(STEP).next_multiple_of(64) | 64;
        self.values.clear();
        self.values.resize(rows * self.stride, 0);
        self.sums.clear();
        self.sums.resize(rows, 0);
        self.factors.clear();
        self.factors.resize(rows, 1.0);
    }

    /// Returns the rows to fill: token by token. With groups, all groups of one token come before those of the next.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = RowMut<'_>> {
        let Self { tokens, k, size, .. } = *self;
        let rows = self.values.chunks_mut(self.stride).zip(&mut self.sums).zip(&mut self.factors);
        rows.enumerate().map(move |(i, ((row, sum), factor))| {
            let first = i / tokens * size;
            RowMut { values: &mut row[..size.min(k - first)], sum, factor }
        })
    }

    /// Drops all tokens but the last `tokens`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn keep_last(&mut self, tokens: usize) {
        let Self { tokens: before, groups, .. } = *self;
        let forgotten = before - tokens;
        for group in 0..groups {
            let kept = group * before + forgotten..(group + 1) * before;
            self.values
                .copy_within(kept.start * self.stride..kept.end * self.stride, group * tokens * self.stride);
            self.sums.copy_within(kept.clone(), group * tokens);
            self.factors.copy_within(kept, group * tokens);
        }
        self.values.truncate(groups * tokens * self.stride);
        self.sums.truncate(groups * tokens);
        self.factors.truncate(groups * tokens);
        self.tokens = tokens;
    }

    /// Returns the number of tokens, m.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Returns the activations per token, k.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Returns the number of activations that are not zero.
    pub fn nonzeros(&self) -> usize {
        self.values.iter().filter(|value| **value != 0).count()
    }

    /// Returns the columns of a group. It is k if there is one group.
    pub fn group_size(&self) -> usize {
        self.size
    }

    /// Returns the number of groups of a token.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// Returns the bytes from one token's row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Returns the padded row `index`. The rows of later groups follow those of all tokens' first groups.
    pub(crate) fn row(&self, index: usize) -> &[i8] {
        &self.values[index * self.stride..][..self.stride]
    }

    /// Returns Σ a of each row.
    pub(crate) fn sums(&self) -> &[i32] {
        &self.sums
    }

    /// Returns Σ a of a token's first group.
    pub fn sum(&self, token: usize) -> i32 {
        self.sums[token]
    }

    /// Returns the factor of each row. Integer dot products are multiplied with it.
    pub fn factors(&self) -> &[f32] {
        &self.factors
    }
}

/// One token's row, or one group of it.
#[derive(Debug)]
pub struct RowMut<'a> {
    values: &'a mut [i8],
    sum: &'a mut i32,
    factor: &'a mut f32,
}

impl RowMut<'_> {
    /// Calls `fill` to write the k values. It returns the factor that turns an integer dot product into the output.
    pub fn set(&mut self, fill: impl FnOnce(&mut [i8]) -> f32) {
        *self.factor = fill(self.values);
        *self.sum = sum(self.values);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn sum(values: &[i8]) -> i32 {
    values.iter().map(|&a| i32::from(a)).sum()
}
