//! Attention of a few queries over one head's keys and values, block by block (Milakov and Gimelshein 2018, Dao et al.
//! 2022): scores never leave the core's nearest cache.
//!
//! Positions are gathered in [segments](SEGMENT) that begin at fixed positions and are merged from the first to the last.
//! So the result does not depend on which queries are worked on together, nor on who gathers which segment.

use super::cache::{BLOCK, Element, Head, HeadOf};
use super::ops::exp;
use super::vector::{Baseline, Vector};

/// Positions that are gathered at once, a multiple of [`BLOCK`].
pub(super) const SEGMENT: usize = 512;

/// The most queries whose sums any register file holds.
const TOGETHER: usize = 8;

/// A query and the number of positions, from the first on, that it may see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    pub(super) elements: &'a [f32],
    pub(super) visible: usize,
}

/// What some queries have gathered over some positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// Σ exp(score - largest) · value, query × head_dim.
    sums: Vec<f32>,
    /// Σ exp(score - largest) and the largest score, of each query.
    totals: Vec<(f32, f32)>,
}

impl Gathered {
    /// With room for `queries` queries.
    pub(super) fn new(queries: usize, head_dim: usize) -> Self {
        Gathered { sums: vec![0.0; queries * head_dim], totals: vec![(0.0, 0.0); queries] }
    }

    /// Becomes what `queries` see of the positions of segment number `segment`, scores multiplied with `scale`.
    ///
    /// # Panics
    /// If a query is not as wide as the head, or there are more or fewer queries than there is room for.
    pub(super) fn gather<'q>(
        &mut self,
        queries: impl Iterator<Item = Query<'q>>,
        head: Head<'_>,
        segment: usize,
        scale: f32,
    ) {
        self.sums.fill(0.0);
        self.totals.fill((0.0, f32::NEG_INFINITY));
        match head {
            Head::F16(head) => self.gather_from(queries, Task { head, segment, scale }),
            Head::F32(head) => self.gather_from(queries, Task { head, segment, scale }),
        }
    }

    fn gather_from<'q, E: Element>(
        &mut self,
        mut queries: impl Iterator<Item = Query<'q>>,
        task: Task<'_, E>,
    ) {
        let (dim, mut row) = (task.head.dim(), 0);
        loop {
            let mut few = [Query { elements: &[], visible: 0 }; TOGETHER];
            let count = few.iter_mut().zip(&mut queries).map(|(place, query)| *place = query).count();
            if count == 0 {
                break;
            }
            let rows = row..row + count;
            let sums = &mut self.sums[rows.start * dim..rows.end * dim];
            task.gather(&few[..count], sums, &mut self.totals[rows]);
            row += count;
        }
        assert_eq!(row, self.totals.len());
    }

    /// Adds what the same queries have gathered over later positions.
    pub(super) fn merge(&mut self, later: &Gathered) {
        let dim = self.sums.len() / self.totals.len();
        let rows = self.sums.chunks_exact_mut(dim).zip(later.sums.chunks_exact(dim));
        for ((totals, later_totals), (sums, later_sums)) in
            self.totals.iter_mut().zip(&later.totals).zip(rows)
        {
            let ((total, largest), (later_total, later_largest)) = (*totals, *later_totals);
            let both = largest.max(later_largest);
            let (factor, later_factor) = (exp(largest - both), exp(later_largest - both));
            *totals = (total * factor + later_total * later_factor, both);
            for (sum, later) in sums.iter_mut().zip(later_sums) {
                *sum = *sum * factor + later * later_factor;
            }
        }
    }

    /// Writes the mean value that each query sees, weighted by the softmax of its scores, to its row of `out`.
    pub(super) fn write_means<'o>(&self, out: impl Iterator<Item = &'o mut [f32]>) {
        let rows = self.sums.chunks_exact(self.sums.len() / self.totals.len());
        for ((sums, (total, _)), out) in rows.zip(&self.totals).zip(out) {
            let factor = 1.0 / total;
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * factor);
        }
    }
}

/// One head's positions to be gathered.
#[derive(Clone, Copy)]
struct Task<'a, E> {
    head: HeadOf<'a, E>,
    segment: usize,
    scale: f32,
}

impl<E: Element> Task<'_, E> {
    /// Gathers for at most [`TOGETHER`] queries.
    fn gather(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        assert!(queries.iter().all(|query| query.elements.len() == self.head.dim()));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the features were just detected.
            return unsafe { self.with_avx512(queries, sums, totals) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
            // SAFETY: the features were just detected.
            return unsafe { self.with_avx2(queries, sums, totals) };
        }
        // SAFETY: every CPU has the baseline.
        unsafe { self.run::<Baseline>(queries, sums, totals) };
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn with_avx512(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        // SAFETY: the function has the vector's features.
        unsafe { self.run::<std::arch::x86_64::__m512>(queries, sums, totals) };
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,f16c")]
    fn with_avx2(self, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
        // SAFETY: the function has the vector's features.
        unsafe { self.run::<std::arch::x86_64::__m256>(queries, sums, totals) };
    }

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
            let sums = &mut sums[rows.start * self.head.dim()..rows.end * self.head.dim()];
            // SAFETY: the caller's promise.
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

    /// # Safety
    /// The CPU has the instructions of `V`.
    #[inline(always)]
    unsafe fn some<V: Vector, const Q: usize>(
        self,
        queries: &[Query<'_>],
        sums: &mut [f32],
        totals: &mut [(f32, f32)],
    ) {
        let Task { head, segment, scale } = self;
        let elements: [&[f32]; Q] = std::array::from_fn(|q| queries[q].elements);
        let start = segment * SEGMENT;
        let end = queries.iter().map(|query| query.visible).max().unwrap_or(0).min(start + SEGMENT);
        let mut lanes = [[0.0; BLOCK]; Q];
        for block in (start..end).step_by(BLOCK) {
            let count = BLOCK.min(end - block);
            // SAFETY: the caller's promise.
            let mut weights =
                unsafe { scores::<V, E, Q>(&elements, head.keys(block), head.values(block, count)) };
            for (q, query) in queries.iter().enumerate() {
                let visible = query.visible.saturating_sub(block).min(BLOCK);
                let sums = &mut sums[q * head.dim()..][..head.dim()];
                rescale(&mut weights[q], visible, scale, &mut lanes[q], &mut totals[q].1, sums);
            }
            for ((weights, lanes), (_, largest)) in weights.iter_mut().zip(&mut lanes).zip(&*totals) {
                weigh(weights, *largest, lanes);
            }
            let next = if block + BLOCK < end { head.keys(block + BLOCK) } else { &[] };
            // SAFETY: the caller's promise.
            unsafe { add_values::<V, E, Q>(sums, &weights, head.values(block, count), head.dim(), next) };
        }
        for ((total, _), lanes) in totals.iter_mut().zip(lanes) {
            *total = lanes.iter().sum();
        }
    }
}

/// Σ query · key for the positions of a block, element after element. What is read `next` is brought near meanwhile: line by
/// line, for a burst of prefetches would hold up the loads.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn scores<V: Vector, E: Element, const Q: usize>(
    queries: &[&[f32]; Q],
    keys: &[E],
    next: &[E],
) -> [[f32; BLOCK]; Q] {
    const { assert!(BLOCK.is_multiple_of(2 * V::LANES)) };
    assert!(queries.iter().all(|query| query.len() == keys.len() / BLOCK));
    let mut scores = [[0.0; BLOCK]; Q];
    for lane in (0..BLOCK).step_by(2 * V::LANES) {
        // SAFETY: both vectors of lanes lie within the block of each element, and within the scores of each query; every
        // query has as many elements as the keys have blocks (the assertion).
        unsafe {
            let mut sums = [[V::splat(0.0); 2]; Q];
            for (element, keys) in keys.chunks_exact(BLOCK).enumerate() {
                V::prefetch(next.as_ptr().wrapping_add(element * BLOCK + lane));
                let keys = keys.as_ptr().add(lane);
                let keys = [E::load::<V>(keys), E::load::<V>(keys.add(V::LANES))];
                for q in 0..Q {
                    let query = V::splat(*queries[q].get_unchecked(element));
                    sums[q] =
                        [sums[q][0].add_product(query, keys[0]), sums[q][1].add_product(query, keys[1])];
                }
            }
            for (scores, sums) in scores.iter_mut().zip(sums) {
                sums[0].store(scores.as_mut_ptr().add(lane));
                sums[1].store(scores.as_mut_ptr().add(lane + V::LANES));
            }
        }
    }
    scores
}

/// Scales a query's scores of a block, of which only the first `visible` count; when the largest so far grows, `totals` and
/// `sums` become relative to it.
#[inline(always)]
fn rescale(
    scores: &mut [f32; BLOCK],
    visible: usize,
    scale: f32,
    totals: &mut [f32; BLOCK],
    largest: &mut f32,
    sums: &mut [f32],
) {
    scores.iter_mut().for_each(|score| *score *= scale);
    scores[visible..].fill(f32::NEG_INFINITY);
    let in_block = largest_of(*scores);
    if in_block > *largest {
        let factor = exp(*largest - in_block);
        *largest = in_block;
        totals.iter_mut().chain(sums).for_each(|sum| *sum *= factor);
    }
}

/// Turns a query's scores of a block into weights relative to the largest score so far, and adds them to `totals`.
#[inline(always)]
fn weigh(scores: &mut [f32; BLOCK], largest: f32, totals: &mut [f32; BLOCK]) {
    // Of a query that has seen nothing yet no score counts, and -∞ less itself is no number.
    let largest = largest.max(f32::MIN);
    for (score, total) in scores.iter_mut().zip(totals) {
        *score = exp(*score - largest);
        *total += *score;
    }
}

/// The largest, found half by half in vectors.
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

/// sums += weight · value for the positions of `values`, one after another, while what is read `next` is brought near.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn add_values<V: Vector, E: Element, const Q: usize>(
    sums: &mut [f32],
    weights: &[[f32; BLOCK]; Q],
    values: &[E],
    dim: usize,
    next: &[E],
) {
    assert!(sums.len() == Q * dim && values.len() <= BLOCK * dim);
    let whole = dim - dim % (2 * V::LANES);
    for column in (0..whole).step_by(2 * V::LANES) {
        // SAFETY: both vectors of columns lie within each row of `sums` and `values`, which are dim long, and there is a weight
        // for each row of `values` (the assertion).
        unsafe {
            let at = |q: usize, half: usize| q * dim + column + half * V::LANES;
            let mut rows: [[V; 2]; Q] =
                std::array::from_fn(|q| [0, 1].map(|half| V::load(sums.as_ptr().add(at(q, half)))));
            for (position, values) in values.chunks_exact(dim).enumerate() {
                V::prefetch(next.as_ptr().wrapping_add(column * BLOCK + position * 2 * V::LANES));
                let values = values.as_ptr().add(column);
                let values = [E::load::<V>(values), E::load::<V>(values.add(V::LANES))];
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
                *sum += weight * value.to_f32();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tercet_kernels_ref::ops as reference;
    use tercet_pool::Pool;

    use super::super::cache::KvCache;
    use super::super::config::Config;
    use super::*;
    use crate::model::Preset;
    use crate::runtime::CacheType;

    type Totals = [(f32, f32)];

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    /// A cache of one head that holds `keys` and `values`.
    fn cache(dim: usize, keys: &[f32], values: &[f32]) -> KvCache {
        let preset = Preset::find("bitnet-2b-4t").unwrap();
        let config = Config { layers: 1, kv_heads: 1, head_dim: dim, ..preset.config() };
        let mut cache = KvCache::new(&config, CacheType::F16, keys.len() / dim);
        cache.store(&Pool::new(1).unwrap(), 0, 0, keys, values);
        cache
    }

    /// What queries that see up to so many positions gather, one way or another.
    fn attend(queries: &[Query<'_>], head: Head<'_>) -> Vec<f32> {
        let dim = queries[0].elements.len();
        let [mut all, mut later] = [(); 2].map(|()| Gathered::new(queries.len(), dim));
        let most = queries.iter().map(|query| query.visible).max().unwrap();
        all.gather(queries.iter().copied(), head, 0, 0.3);
        for segment in 1..most.div_ceil(SEGMENT) {
            later.gather(queries.iter().copied(), head, segment, 0.3);
            all.merge(&later);
        }
        let mut out = vec![0.0; queries.len() * dim];
        all.write_means(out.chunks_exact_mut(dim));
        out
    }

    #[test]
    fn every_query_sees_the_weighted_mean_of_its_positions_whoever_it_is_with() {
        let positions = SEGMENT + 45;
        for dim in [7, 32, 100, 128] {
            let (keys, values) = (wave(positions * dim, 0.4), wave(positions * dim, 0.9));
            let cache = cache(dim, &keys, &values);
            let head = cache.head(0, 0);
            let elements = wave(11 * dim, 0.1);
            let visible = [1, 2, 31, 32, 33, 64, 300, SEGMENT, SEGMENT + 1, SEGMENT + 33, positions];
            let queries: Vec<Query<'_>> = elements
                .chunks(dim)
                .zip(visible)
                .map(|(elements, visible)| Query { elements, visible })
                .collect();
            let together = attend(&queries, head);
            for (query, found) in queries.iter().zip(together.chunks(dim)) {
                let alone = attend(&[*query], head);
                assert!(
                    found.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{}",
                    query.visible
                );
                let halves =
                    |x: &[f32]| x.iter().map(|x| half::f16::from_f32(*x).to_f32()).collect::<Vec<_>>();
                let seen = query.visible * dim;
                let scaled: Vec<f32> = query.elements.iter().map(|x| x * 0.3 * (dim as f32).sqrt()).collect();
                let expected =
                    reference::attention(&scaled, &halves(&keys[..seen]), &halves(&values[..seen]), 1, 1);
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-3, "{dim} {}: {found} {expected}", query.visible);
                }
            }
        }
    }

    #[test]
    fn vectors_compute_what_plain_rust_does() {
        let (dim, positions) = (100, 77);
        let cache = cache(dim, &wave(positions * dim, 0.4), &wave(positions * dim, 0.9));
        let elements = wave(8 * dim, 0.1);
        let queries: Vec<Query<'_>> =
            elements.chunks(dim).zip(70..).map(|(elements, visible)| Query { elements, visible }).collect();
        let Head::F16(head) = cache.head(0, 0) else { panic!("the cache is of halves") };
        let task = Task { head, segment: 0, scale: 0.2 };
        let run = |gather: &dyn Fn(&mut [f32], &mut Totals)| {
            let (mut sums, mut totals) = (vec![0.0; 8 * dim], vec![(0.0, f32::NEG_INFINITY); 8]);
            gather(&mut sums, &mut totals);
            let totals = totals.into_iter().flat_map(|(total, largest)| [total, largest]);
            sums.into_iter().chain(totals).map(f32::to_bits).collect::<Vec<_>>()
        };
        // SAFETY: plain Rust needs no instructions.
        let plain = run(&|sums, totals| unsafe { task.run::<[f32; 8]>(&queries, sums, totals) });
        assert_eq!(run(&|sums, totals| task.gather(&queries, sums, totals)), plain);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
            // SAFETY: the features were just detected.
            assert_eq!(run(&|sums, totals| unsafe { task.with_avx2(&queries, sums, totals) }), plain);
        }
    }
}
