//! Keys and values in f32: sums in double precision, rounded to f32 once per segment.
//!
//! Activations that are later rounded to integers are the same as with exact sums, except for ties.

use multiversion::multiversion;

use super::{BLOCK, Query, SEGMENT, Segment};

/// Elements of a value that are summed together.
const COLUMNS: usize = 32;

impl Segment<'_, f32> {
    /// Writes each query's weighted sum of values to its row of `sums`. Writes the sum of the weights and
    /// the largest score to `totals`.
    ///
    /// # Panics
    /// If a query is not as wide as the keys.
    pub(crate) fn gather(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        let rows = sums.chunks_exact_mut(self.head.dim).zip(totals);
        rows.zip(queries).for_each(|((sums, totals), query)| *totals = gather_one(self, query, sums));
    }
}

/// Writes the sums of one query and returns its totals.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn gather_one(segment: Segment<'_, f32>, query: &Query<'_>, sums: &mut [f32]) -> (f32, f32) {
    let Segment { head, scale, .. } = segment;
    let (dim, positions) = (head.dim, segment.positions(query.visible));
    assert_eq!(query.elements.len(), dim);
    let mut weights = [0.0; SEGMENT];
    for (block, scores) in positions.clone().step_by(BLOCK).zip(weights.as_chunks_mut::<BLOCK>().0) {
        let mut sums = [0.0; BLOCK];
        for (element, keys) in query.elements.iter().zip(head.keys(block).as_chunks().0) {
            add_multiple(&mut sums, f64::from(*element), keys);
        }
        *scores = sums.map(|score| score * f64::from(scale));
    }
    let weights = &mut weights[..positions.len()];
    weights[..segment.seen(query).start].fill(f64::NEG_INFINITY);
    let blocks = positions.step_by(BLOCK);
    let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max) as f32;
    // A query that sees no position has the largest score -∞, and -∞ - -∞ would be NaN.
    let base = f64::from(largest.max(f32::MIN));
    weights.iter_mut().for_each(|score| *score = libm::exp(*score - base));
    let (columns, rest) = sums.as_chunks_mut::<COLUMNS>();
    for (part, sums) in columns.iter_mut().enumerate() {
        let mut exact = [0.0; COLUMNS];
        for (block, weights) in blocks.clone().zip(weights.chunks(BLOCK)) {
            let values = head.values(block, weights.len());
            for (weight, values) in weights.iter().zip(values.chunks_exact(dim)) {
                add_multiple(&mut exact, *weight, &values.as_chunks::<COLUMNS>().0[part]);
            }
        }
        *sums = exact.map(|sum| sum as f32);
    }
    for (sum, column) in rest.iter_mut().zip(columns.len() * COLUMNS..) {
        let values = |(block, weights): (usize, &[f64])| head.values(block, weights.len()).chunks_exact(dim);
        let values = blocks.clone().zip(weights.chunks(BLOCK)).flat_map(values);
        *sum = weights.iter().zip(values).map(|(w, v)| w * f64::from(v[column])).sum::<f64>() as f32;
    }
    (weights.iter().sum::<f64>() as f32, largest)
}

/// sums += factor · values.
#[inline(always)]
fn add_multiple<const N: usize>(sums: &mut [f64; N], factor: f64, values: &[f32; N]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * f64::from(*value));
}
