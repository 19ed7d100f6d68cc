//! Keys and values in half precision: sums in vectors of f32, by fused multiply-adds.
//!
//! Every score and every element of a result is one chain of fused multiply-adds, whatever the width of
//! the vectors. So every CPU computes the same bits.

use std::ops::Range;

use half::f16;

use super::{BLOCK, Query, SEGMENT, Segment};
use crate::vectors::ops::exp;
use crate::vectors::vector::{Baseline, Vector};

impl Segment<'_, f16> {
    /// Adds each query's weighted values to its row of `sums`. Writes the sum of the weights and the
    /// largest score to `totals`.
    ///
    /// # Panics
    /// If a query is not as wide as the keys.
    pub(crate) fn gather(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        assert!(queries.iter().all(|query| query.elements.len() == self.head.dim));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the CPU has the features, as just detected.
            return unsafe { self.with_avx512(queries, sums, totals) };
        } else if crate::vectors::vector::x86::has_avx2() {
            // SAFETY: the CPU has the features, as just detected.
            return unsafe { self.with_avx2(queries, sums, totals) };
        }
        // SAFETY: every CPU that can run this program has the baseline.
        unsafe { self.run::<Baseline>(queries, sums, totals) };
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn with_avx512(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        // SAFETY: `__m512` needs AVX-512 F, which this function enables.
        unsafe { self.run::<std::arch::x86_64::__m512>(queries, sums, totals) };
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,f16c,fma")]
    fn with_avx2(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        // SAFETY: `__m256` needs AVX2, F16C and FMA, which this function enables.
        unsafe { self.run::<std::arch::x86_64::__m256>(queries, sums, totals) };
    }

    /// Gathers for as many queries at a time as the register file holds.
    ///
    /// # Safety
    /// The CPU has the instructions of `V`.
    #[inline(always)]
    unsafe fn run<V: Vector>(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        let mut row = 0;
        while row < queries.len() {
            let left = V::ROWS.min(queries.len() - row);
            let together = [8, 4, 2, 1].into_iter().find(|&count| count <= left).unwrap_or(1);
            let rows = row..row + together;
            let (queries, totals) = (&queries[rows.clone()], &mut totals[rows.clone()]);
            let sums = &mut sums[rows.start * self.head.dim..rows.end * self.head.dim];
            // SAFETY: the caller promises the instructions of `V`.
            unsafe {
                match together {
                    8 => self.some::<V, 8>(queries, sums, totals),
                    4 => self.some::<V, 4>(queries, sums, totals),
                    2 => self.some::<V, 2>(queries, sums, totals),
                    _ => self.some::<V, 1>(queries, sums, totals),
                }
            }
            row += together;
        }
    }

    /// Gathers for `Q` queries together.
    ///
    /// # Safety
    /// The CPU has the instructions of `V`.
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
            let seen = self.positions(query.visible).len();
            *totals = weigh(&mut weights[..(end - start).next_multiple_of(BLOCK)], seen, scale);
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
/// The query sees the first `visible` positions. The others get weight 0.
#[inline(always)]
fn weigh(scores: &mut [f32], visible: usize, scale: f32) -> (f32, f32) {
    let (mut largest, mut totals) = ([f32::NEG_INFINITY; BLOCK], [0.0; BLOCK]);
    scores[visible..].fill(f32::NEG_INFINITY);
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

#[cfg(test)]
mod tests {
    use super::super::{Elements, KeysValues, PAGE, Page};
    use super::*;

    type Totals = [(f32, f32)];

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    /// Returns a page of one head with these `keys` and `values`, position × element.
    fn page(keys: &[f16], values: &[f16], dim: usize) -> Page<f16> {
        let mut page = Elements::zeroed(2 * PAGE * dim).unwrap();
        for (position, row) in keys.chunks(dim).enumerate() {
            for (element, key) in row.iter().enumerate() {
                page[(position / BLOCK * dim + element) * BLOCK + position % BLOCK] = *key;
            }
        }
        page[PAGE * dim..][..values.len()].copy_from_slice(values);
        Page::new(page)
    }

    #[test]
    fn vectors_compute_the_same_bits_as_plain_rust() {
        let (dim, positions) = (100, 77);
        let halves = |phase| wave(positions * dim, phase).into_iter().map(f16::from_f32).collect::<Vec<_>>();
        let pages = [page(&halves(0.4), &halves(0.9), dim)];
        let elements = wave(8 * dim, 0.1);
        let queries: Vec<Query<'_>> =
            elements.chunks(dim).zip(70..).map(|(elements, visible)| Query { elements, visible }).collect();
        let head = KeysValues { pages: &pages, start: 0, dim };
        let segment = Segment { head, first: 0, scale: 0.2 };
        let run = |gather: &dyn Fn(&mut [f32], &mut Totals)| {
            let (mut sums, mut totals) = (vec![0.0; 8 * dim], vec![(0.0, f32::NEG_INFINITY); 8]);
            gather(&mut sums, &mut totals);
            let totals = totals.into_iter().flat_map(|(total, largest)| [total, largest]);
            sums.into_iter().chain(totals).map(f32::to_bits).collect::<Vec<_>>()
        };
        // SAFETY: plain Rust needs no special instructions.
        let plain = run(&|sums, totals| unsafe { segment.run::<[f32; 8]>(&queries, sums, totals) });
        assert_eq!(run(&|sums, totals| segment.gather(&queries, sums, totals)), plain);
        #[cfg(target_arch = "x86_64")]
        if crate::vectors::vector::x86::has_avx2() {
            // SAFETY: the CPU has the features, as just detected.
            assert_eq!(run(&|sums, totals| unsafe { segment.with_avx2(&queries, sums, totals) }), plain);
        }
    }
}
