//! Keys and values in bytes: sums of integers, which are exact on every CPU.
//!
//! A query is rounded to 13 bits and the weights of a segment to 16 bits, so that no sum of products overflows. A score is
//! an integer times the steps of its query and its key. A weight is first multiplied by the step of its value.

use std::ops::Range;

use super::halves::weigh;
use super::together::{self, Gather};
use super::{BLOCK, KeysValues, PAGE, Query, SEGMENT, Segment};
use crate::vectors::ops::largest;
use crate::vectors::vector::Vector;

/// The largest magnitude of a query's integers. 4,096 products with bytes fit 32 bits.
const MOST_QUERY: f32 = 4095.0;

/// The largest magnitude of a weight's integer. The products of a segment fit 32 bits.
const MOST_WEIGHT: f32 = 32_767.0;

/// The widest head whose scores cannot overflow.
pub(super) const MOST_DIM: usize = 4096;

const _: () = assert!(MOST_DIM as i64 * MOST_QUERY as i64 * 128 <= i32::MAX as i64);
const _: () = assert!(SEGMENT as i64 * MOST_WEIGHT as i64 * 128 <= i32::MAX as i64);

impl KeysValues<'_, i8> {
    /// Returns the steps of the keys, and those of the values, of the [`BLOCK`] positions from `position` on. A block begins
    /// there.
    pub(crate) fn steps(&self, position: usize) -> [[f32; BLOCK]; 2] {
        let page = &self.pages[position / PAGE][self.start + 2 * PAGE * self.dim..];
        [0, PAGE].map(|kind| {
            let steps = &page[(kind + position % PAGE) * size_of::<f32>()..][..BLOCK * size_of::<f32>()];
            bytemuck::pod_read_unaligned(bytemuck::cast_slice(steps))
        })
    }
}

impl Segment<'_, i8> {
    /// Writes each query's weighted sum of values to its row of `sums`, which is zero. Writes the sum of the weights and
    /// the largest score to `totals`.
    ///
    /// # Panics
    /// If a query is not as wide as the keys.
    pub(crate) fn gather(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        together::gather(self, queries, sums, totals);
    }
}

impl Gather for Segment<'_, i8> {
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
        assert!(head.dim.is_multiple_of(2) && head.dim <= MOST_DIM);
        let visible = queries.iter().map(|query| query.visible).max().unwrap_or(0);
        let Range { start, end } = self.positions(visible);
        let blocks = (start..end).step_by(BLOCK);
        // Whole blocks, for places that no query sees have weight 0.
        let values = |block: usize| head.values(block, BLOCK);
        let keys = |block: usize| if block < visible { head.keys(block) } else { &[] };

        // The sums take their memory only later, so the rounded queries lie there until then.
        let rounded: &mut [i16] = &mut bytemuck::cast_slice_mut(sums)[..Q * head.dim];
        let mut query_steps = [0.0; Q];
        for ((rounded, query), step) in rounded.chunks_exact_mut(head.dim).zip(queries).zip(&mut query_steps)
        {
            *step = round(rounded, query.elements, MOST_QUERY);
        }
        let elements: [&[i16]; Q] = std::array::from_fn(|q| &rounded[q * head.dim..][..head.dim]);
        let mut weights = [[0.0; SEGMENT]; Q];
        let mut value_steps = [0.0; SEGMENT];
        for block in blocks.clone() {
            let next = if block + BLOCK < end { keys(block + BLOCK) } else { values(start) };
            let mut products = [[0; BLOCK]; Q];
            // SAFETY: the caller promises the instructions of `V`.
            unsafe { add_products::<V, Q>(products.as_flattened_mut(), &elements, keys(block), next) };
            let [key_steps, of_values] = head.steps(block);
            value_steps[block - start..][..BLOCK].copy_from_slice(&of_values);
            for ((scores, products), query_step) in weights.iter_mut().zip(products).zip(query_steps) {
                let scores = &mut scores[block - start..][..BLOCK];
                for ((score, product), key_step) in scores.iter_mut().zip(products).zip(key_steps) {
                    *score = product as f32 * (query_step * key_step);
                }
            }
        }

        let padded = (end - start).next_multiple_of(BLOCK);
        let mut rounded = [[0; SEGMENT]; Q];
        let mut weight_steps = [0.0; Q];
        for (q, (weights, query)) in weights.iter_mut().zip(queries).enumerate() {
            let seen = self.seen(query);
            totals[q] = weigh(&mut weights[..padded], seen.clone(), scale);
            weights[seen.clone()]
                .iter_mut()
                .zip(&value_steps[seen])
                .for_each(|(weight, step)| *weight *= step);
            weight_steps[q] = round(&mut rounded[q][..padded], &weights[..padded], MOST_WEIGHT);
        }

        let products: &mut [i32] = bytemuck::cast_slice_mut(sums);
        products.fill(0);
        for block in blocks {
            let next = if block + BLOCK < end { values(block + BLOCK) } else { keys(end) };
            let weights: [&[i16]; Q] = std::array::from_fn(|q| &rounded[q][block - start..][..BLOCK]);
            // SAFETY: the caller promises the instructions of `V`.
            unsafe { add_products::<V, Q>(products, &weights, values(block), next) };
        }
        for (sums, step) in sums.chunks_exact_mut(head.dim).zip(weight_steps) {
            sums.iter_mut().for_each(|sum| *sum = sum.to_bits() as i32 as f32 * step);
        }
    }
}

/// Rounds `x` to integers, half to even, so that the largest magnitude becomes `most`. Returns the value of one step, which
/// is NaN if an element is.
#[inline(always)]
fn round(out: &mut [i16], x: &[f32], most: f32) -> f32 {
    /// 1.5 · 2²³: the lowest bits of a sum with it are the integer.
    const ROUND: f32 = 12_582_912.0;
    /// Smaller ones would have an infinite inverse.
    const LEAST: f32 = 1e-30;
    let largest = largest(x);
    let largest = if largest < LEAST { LEAST } else { largest };
    let inverse = most / largest;
    for (out, x) in out.iter_mut().zip(x) {
        let scaled = x * inverse;
        let scaled = if scaled < -most { -most } else { scaled };
        let scaled = if scaled > most { most } else { scaled };
        *out = (scaled + ROUND).to_bits() as i16;
    }
    largest / most
}

/// Adds the products of each query's factors with `pairs` to its row of `sums`.
///
/// Row r of `pairs` holds two bytes for every column: those that factors 2r and 2r + 1 multiply. Meanwhile it prefetches
/// `next`, the bytes that are read after these.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn add_products<V: Vector, const Q: usize>(
    sums: &mut [i32],
    factors: &[&[i16]; Q],
    pairs: &[i8],
    next: &[i8],
) {
    let columns = sums.len() / Q;
    let rows = pairs.len() / (2 * columns);
    assert!(sums.len() == Q * columns && factors.iter().all(|factors| factors.len() == 2 * rows));
    let whole = columns - columns % (2 * V::LANES);
    for column in (0..whole).step_by(2 * V::LANES) {
        // SAFETY:
        // - the CPU has the vector's instructions: the caller promises it;
        // - the columns `column..column + 2 * LANES` are below `whole`, so below `columns`;
        // - `sums` has Q rows of `columns` elements (assertion), so its loads and stores are within it;
        // - each chunk of `pairs` has two bytes for each column, so both loads are within it;
        // - each query has two factors per chunk of `pairs` (assertion);
        // - a prefetch may name any address.
        unsafe {
            let at = |q: usize, half: usize| q * columns + column + half * V::LANES;
            let mut of_query: [[V::Integers; 2]; Q] =
                std::array::from_fn(|q| [0, 1].map(|half| V::load_integers(sums.as_ptr().add(at(q, half)))));
            for (row, pairs) in pairs.chunks_exact(2 * columns).enumerate() {
                V::prefetch(next.as_ptr().wrapping_add((row * columns + column) * 2));
                let pairs = pairs.as_ptr().add(2 * column);
                let pairs = [V::load_pairs(pairs), V::load_pairs(pairs.add(2 * V::LANES))];
                for q in 0..Q {
                    let factors = V::splat_pair(factors[q].as_ptr().add(2 * row));
                    // Without a closure, which would not have the instructions of `V`.
                    of_query[q] = [
                        V::add_pairs(of_query[q][0], factors, pairs[0]),
                        V::add_pairs(of_query[q][1], factors, pairs[1]),
                    ];
                }
            }
            for (q, sums_of_query) in of_query.into_iter().enumerate() {
                V::store_integers(sums_of_query[0], sums.as_mut_ptr().add(at(q, 0)));
                V::store_integers(sums_of_query[1], sums.as_mut_ptr().add(at(q, 1)));
            }
        }
    }
    for (sums, factors) in sums.chunks_exact_mut(columns).zip(factors) {
        for (pairs, factors) in pairs.chunks_exact(2 * columns).zip(factors.as_chunks::<2>().0) {
            for (sum, pair) in sums[whole..].iter_mut().zip(&pairs.as_chunks::<2>().0[whole..]) {
                *sum += dot_pair(*factors, *pair);
            }
        }
    }
}

/// Returns the sum of two products.
#[inline(always)]
fn dot_pair(a: [i16; 2], b: [i8; 2]) -> i32 {
    i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_the_largest_and_tells_what_is_no_number() {
        let mut out = [0; 4];
        let step = round(&mut out, &[0.5, -2.0, 0.0, 1.0], MOST_WEIGHT);
        assert_eq!((out, step), ([8192, -32_767, 0, 16_384], 2.0 / 32_767.0));
        assert_eq!((round(&mut out, &[0.0; 4], MOST_QUERY), out), (1e-30 / MOST_QUERY, [0; 4]));
        assert!(round(&mut out, &[0.0, f32::NAN, 1.0, 0.0], MOST_QUERY).is_nan());
    }
}
