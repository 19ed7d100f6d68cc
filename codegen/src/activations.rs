//! Quantized activations as every kernel reads them.

use multiversion::multiversion;

/// A multiple of every packing's step, to which rows are padded.
const STEP: usize = 80;

/// m tokens of k int8 activations, with each token's sum and output factor.
///
/// Rows are zero-padded to whole steps of every packing, and their stride is an odd multiple of 64 bytes so that
/// the rows of a tile do not fall into one cache set.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    values: Vec<i8>,
    sums: Vec<i32>,
    factors: Vec<f32>,
    k: usize,
    stride: usize,
}

impl Activations {
    /// No tokens, with room for `tokens` rows of up to `k` so that [`Activations::reset`] does not allocate.
    pub fn with_capacity(tokens: usize, k: usize) -> Self {
        let mut acts = Activations::default();
        acts.reset(tokens, k);
        acts
    }

    /// Becomes `tokens` rows of `k` zeros with factor 1.
    pub fn reset(&mut self, tokens: usize, k: usize) {
        self.k = k;
        self.stride = k.next_multiple_of(STEP).next_multiple_of(64) | 64;
        self.values.clear();
        self.values.resize(tokens * self.stride, 0);
        self.sums.clear();
        self.sums.resize(tokens, 0);
        self.factors.clear();
        self.factors.resize(tokens, 1.0);
    }

    /// The rows, to be filled in.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = RowMut<'_>> {
        let k = self.k;
        let rows = self.values.chunks_mut(self.stride).zip(&mut self.sums).zip(&mut self.factors);
        rows.map(move |((row, sum), factor)| RowMut { values: &mut row[..k], sum, factor })
    }

    /// Forgets all tokens but the last `tokens`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn keep_last(&mut self, tokens: usize) {
        let forgotten = self.tokens() - tokens;
        self.values.drain(..forgotten * self.stride);
        self.sums.drain(..forgotten);
        self.factors.drain(..forgotten);
    }

    /// Number of tokens, m.
    pub fn tokens(&self) -> usize {
        self.sums.len()
    }

    /// Activations per token, k.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Bytes from one token's row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The padded row of `token`.
    pub(crate) fn row(&self, token: usize) -> &[i8] {
        &self.values[token * self.stride..][..self.stride]
    }

    /// Σ a of each token.
    pub(crate) fn sums(&self) -> &[i32] {
        &self.sums
    }

    /// What each token's integer dot products are multiplied with.
    pub fn factors(&self) -> &[f32] {
        &self.factors
    }
}

/// One token's row.
#[derive(Debug)]
pub struct RowMut<'a> {
    values: &'a mut [i8],
    sum: &'a mut i32,
    factor: &'a mut f32,
}

impl RowMut<'_> {
    /// Lets `fill` write the k values and return the factor that turns an integer dot product into the output.
    pub fn set(&mut self, fill: impl FnOnce(&mut [i8]) -> f32) {
        *self.factor = fill(self.values);
        *self.sum = sum(self.values);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn sum(values: &[i8]) -> i32 {
    values.iter().map(|&a| i32::from(a)).sum()
}
