//! Keys and values in half precision: sums in vectors of f32, by fused multiply-adds.
//!
//! Every score and every element of a result is one chain of fused multiply-adds, whatever the width of
//! the vectors. So every CPU computes the same bits.

use std::ops::Range;

use half::f16;

use super::together::{self, Gather};
use super::{BLOCK, Query, SEGMENT, Segment};
use crate::vectors::ops::exp;
use crate::vectors::vector::Vector;

impl Segment<'_, f16> {
    /// Writes each query's weighted sum of values to its row of `sums`, which is zero. Writes the sum of the weights and
    /// the largest score to `totals`.
    ///
    /// # Panics
    /// If a query is not as wide as the keys.
    pub(crate) fn gather(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        together::gather(self, queries, sums, totals);
    }
}

impl Gather for Segment<'_, f16> {
    fn dim(self) -> usize {
        self.head.dim
    }

    #[inline(always)]
    unsafe fn some<V: Vector, const Q: usize>(
        self,
        queries: &[Query<'_>],
        sums: &mut [f32],
        totals: &mut [(f32, f32)],
    ) {
        let Segment { head, scale, .. } = self;
        let elements: [&[f32]; Q] = std::array::from_fn(|q| queries[q].elements);
        let visible = queries.iter().map(|query| query.visible).max().unwrap_or(0);
        let Range { start, end } = self.positions(visible);
        let blocks = (start..end).step_by(BLOCK);
        let values = |block: usize| head.values(block, BLOCK.min(end - block));
        let keys = |block: usize| if block < visible { head.keys(block) } else { &[] };
        let mut weights = [[0.0; SEGMENT]; Q];
        for block in blocks.clone() {
            let next = if block + BLOCK < end { keys(block + BLOCK) } else { values(start) };
            // SAFETY: the caller promises the instructions of `V`.
            unsafe { scores::<V, Q>(&mut weights, block - start, &elements, keys(block), next) };
        }
        for ((weights, query), totals) in weights.iter_mut().zip(queries).zip(totals) {
            *totals = weigh(&mut weights[..(end - start).next_multiple_of(BLOCK)], self.seen(query), scale);
        }
        for block in blocks {
            let next = if block + BLOCK < end { values(block + BLOCK) } else { keys(end) };
            // SAFETY: the caller promises the instructions of `V`.
            unsafe { add_values::<V, Q>(sums, &weights, block - start, values(block), head.dim, next) };
        }
    }
}

/// Writes the scores Σ query · key of one block of positions to `scores`, from `place` on.
///
/// Meanwhile it prefetches `next`, the elements that are read after these. The prefetches are spread over
/// the loop, because a burst of them would delay the loads.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn scores<V: Vector, const Q: usize>(
    scores: &mut [[f32; SEGMENT]; Q],
    place: usize,
    queries: &[&[f32]; Q],
    keys: &[f16],
    next: &[f16],
) {
    const { assert!(BLOCK.is_multiple_of(2 * V::LANES)) };
    assert!(queries.iter().all(|query| query.len() == keys.len() / BLOCK) && place + BLOCK <= SEGMENT);
    for lane in (0..BLOCK).step_by(2 * V::LANES) {
        // SAFETY:
        // - the CPU has the vector's instructions: the caller promises it;
        // - `lane..lane + 2 * LANES` is within a block, because 2 * LANES divides BLOCK;
        // - each chunk of `keys` is one block, so both loads of keys are within it;
        // - each query has one element per block of keys (assertion), so `element` is within it;
        // - `place + BLOCK <= SEGMENT` (assertion), so both stores are within a query's scores;
        // - a prefetch may name any address.
        unsafe {
            let mut sums = [[V::splat(0.0); 2]; Q];
            for (element, keys) in keys.chunks_exact(BLOCK).enumerate() {
                V::prefetch(next.as_ptr().wrapping_add(element * BLOCK + lane));
                let keys = keys.as_ptr().add(lane);
                let keys = [V::load_halves(keys), V::load_halves(keys.add(V::LANES))];
                for q in 0..Q {
                    let query = V::splat(*queries[q].get_unchecked(element));
                    sums[q] =
                        [sums[q][0].add_product(query, keys[0]), sums[q][1].add_product(query, keys[1])];
                }
            }
            for (scores, sums) in scores.iter_mut().zip(sums) {
                let scores = scores.as_mut_ptr().add(place + lane);
                sums[0].store(scores);
                sums[1].store(scores.add(V::LANES));
            }
        }
    }
}

/// Turns scores into weights exp(scale · score - largest); returns the sum of the weights and the largest
/// scaled score.
///
/// The query sees the positions `visible`. The others get weight 0.
#[inline(always)]
pub(super) fn weigh(scores: &mut [f32], visible: Range<usize>, scale: f32) -> (f32, f32) {
    let (mut largest, mut totals) = ([f32::NEG_INFINITY; BLOCK], [0.0; BLOCK]);
    scores[..visible.start].fill(f32::NEG_INFINITY);
    scores[visible.end..].fill(f32::NEG_INFINITY);
    let blocks = scores.as_chunks_mut::<BLOCK>().0;
    for block in &mut *blocks {
        for (score, largest) in block.iter_mut().zip(&mut largest) {
            *score *= scale;
            *largest = if *score > *largest { *score } else { *largest };
        }
    }
    let largest = largest_of(largest);
    // A query that sees no position has the largest score -∞, and -∞ - -∞ would be NaN.
    let base = largest.max(f32::MIN);
    for block in blocks {
        for (score, total) in block.iter_mut().zip(&mut totals) {
            *score = exp(*score - base);
            *total += *score;
        }
    }
    (totals.iter().sum(), largest)
}

/// Returns the largest value. Compares the two halves lane by lane, so that the loop becomes vector code.
#[inline(always)]
fn largest_of(mut values: [f32; BLOCK]) -> f32 {
    let mut width = BLOCK / 2;
    while width > 0 {
        for i in 0..width {
            let (a, b) = (values[i], values[i + width]);
            values[i] = if a > b { a } else { b };
        }
        width /= 2;
    }
    values[0]
}

/// Adds weight · value to each query's row of `sums`, for the positions of `values` in their order.
///
/// The weights of these positions start at `place`. Meanwhile it prefetches `next`, as [`scores`] does.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn add_values<V: Vector, const Q: usize>(
    sums: &mut [f32],
    weights: &[[f32; SEGMENT]; Q],
    place: usize,
    values: &[f16],
    dim: usize,
    next: &[f16],
) {
    let weights: [&[f32]; Q] = std::array::from_fn(|q| &weights[q][place..place + values.len() / dim]);
    assert!(sums.len() == Q * dim);
    let whole = dim - dim % (2 * V::LANES);
    for column in (0..whole).step_by(2 * V::LANES) {
        // SAFETY:
        // - the CPU has the vector's instructions: the caller promises it;
        // - the columns `column..column + 2 * LANES` are below `whole`, so below `dim`;
        // - `sums` has Q rows of `dim` elements (assertion), so its loads and stores are within it;
        // - each chunk of `values` has `dim` elements, so both loads of values are within it;
        // - each query has one weight per chunk of `values` (the slices above);
        // - a prefetch may name any address.
        unsafe {
            let at = |q: usize, half: usize| q * dim + column + half * V::LANES;
            let mut rows: [[V; 2]; Q] =
                std::array::from_fn(|q| [0, 1].map(|half| V::load(sums.as_ptr().add(at(q, half)))));
            for (position, values) in values.chunks_exact(dim).enumerate() {
                V::prefetch(next.as_ptr().wrapping_add(column * BLOCK + position * 2 * V::LANES));
                let values = values.as_ptr().add(column);
                let values = [V::load_halves(values), V::load_halves(values.add(V::LANES))];
                for q in 0..Q {
                    let weight = V::splat(*weights[q].get_unchecked(position));
                    rows[q] = [
                        rows[q][0].add_product(weight, values[0]),
                        rows[q][1].add_product(weight, values[1]),
                    ];
                }
            }
            for (q, row) in rows.into_iter().enumerate() {
                row[0].store(sums.as_mut_ptr().add(at(q, 0)));
                row[1].store(sums.as_mut_ptr().add(at(q, 1)));
            }
        }
    }
    for (sums, weights) in sums.chunks_exact_mut(dim).zip(weights) {
        for (values, weight) in values.chunks_exact(dim).zip(weights) {
            for (sum, value) in sums[whole..].iter_mut().zip(&values[whole..]) {
                *sum = weight.mul_add(value.to_f32(), *sum);
            }
        }
    }
}
