//! Quantized activations, in the form that every kernel reads.

use multiversion::multiversion;

use crate::spec::TILE_STEPS;

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
    /// Codes in a byte of the weights, if the rows are in the order of tiles. It is 0 if they are in the order of columns.
    tile_groups: usize,
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
        self.tile_groups = 0;
        self.clear(rows, size.next_multiple_of(STEP).next_multiple_of(64));
        self.sums.clear();
        self.sums.resize(rows, 0);
        self.factors.clear();
        self.factors.resize(rows, 1.0);
    }

    /// Makes `rows` rows of at least `bytes` zeros, which is a multiple of 64.
    fn clear(&mut self, rows: usize, bytes: usize) {
        self.stride = bytes | 64;
        self.values.clear();
        self.values.resize(rows * self.stride, 0);
    }

    /// Copies the rows to `to` in the order of tiles, for weights with `groups` codes in a byte.
    ///
    /// A tile has 16 steps of one group: four values of each. First come the tiles of all groups of the first 16 steps, then
    /// those of the next. Zeros follow the last step.
    pub(crate) fn in_tiles(&self, groups: usize, to: &mut Activations) {
        let (step, tile) = (4 * groups, 4 * TILE_STEPS);
        let Self { tokens, k, size, groups: row_groups, .. } = *self;
        (to.tokens, to.k, to.size, to.groups, to.tile_groups) = (tokens, k, size, row_groups, groups);
        to.clear(tokens * row_groups, size.next_multiple_of(groups * tile));
        to.sums.clone_from(&self.sums);
        to.factors.clone_from(&self.factors);
        let rows = self.values.chunks_exact(self.stride).zip(to.values.chunks_exact_mut(to.stride));
        for (row, to) in rows {
            let columns = &row[..size.next_multiple_of(4)];
            for (columns, tiles) in columns.chunks(groups * tile).zip(to.chunks_exact_mut(groups * tile)) {
                for (at, step) in columns.chunks(step).enumerate() {
                    for (values, tile) in step.as_chunks::<4>().0.iter().zip(tiles.chunks_exact_mut(tile)) {
                        tile[4 * at..][..4].copy_from_slice(values);
                    }
                }
            }
        }
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

    /// Returns the codes in a byte of the weights that the rows are in the order of tiles for, or 0.
    pub(crate) fn tile_groups(&self) -> usize {
        self.tile_groups
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_sixteen_steps_of_one_group() {
        const GROUPS: usize = 5;
        let (k, mut acts, mut tiles) = (330, Activations::with_capacity(2, 330), Activations::default());
        for mut row in acts.rows_mut() {
            row.set(|values| {
                values.iter_mut().zip(0..).for_each(|(value, column)| *value = (column % 127 + 1) as i8);
                0.5
            });
        }
        acts.in_tiles(GROUPS, &mut tiles);
        assert_eq!((tiles.tokens(), tiles.k(), tiles.tile_groups()), (2, k, GROUPS));
        assert_eq!((tiles.sums(), tiles.factors()), (acts.sums(), acts.factors()));
        for (token, at) in [0, 1].into_iter().flat_map(|token| (0..640).map(move |at| (token, at))) {
            let (tile, step, i) = (at / 64, at / 4 % 16, at % 4);
            let column = (tile / GROUPS * 16 + step) * 4 * GROUPS + 4 * (tile % GROUPS) + i;
            let expected = if column < k { acts.row(token)[column] } else { 0 };
            assert_eq!(tiles.row(token)[at], expected, "token {token}, byte {at}, column {column}");
        }
    }
}
