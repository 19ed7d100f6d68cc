//! Attention of a few queries over one head's keys and values, block by block (Milakov and Gimelshein 2018, Dao et al.
//! 2022): scores never leave the core's nearest cache.
//!
//! Positions are gathered in [segments](SEGMENT) that begin at fixed positions and are merged from the first to the last.
//! So the result does not depend on which queries are worked on together, nor on who gathers which segment.

mod doubles;
mod halves;

use std::ops::Range;

use super::cache::{Head, HeadOf};
use super::ops::exp;

/// Positions that are gathered at once, a multiple of [`BLOCK`](super::cache::BLOCK).
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
        mut queries: impl Iterator<Item = Query<'q>>,
        head: Head<'_>,
        segment: usize,
        scale: f32,
    ) {
        self.sums.fill(0.0);
        let (dim, mut row) = (self.dim(), 0);
        loop {
            let mut few = [Query { elements: &[], visible: 0 }; TOGETHER];
            let count = few.iter_mut().zip(&mut queries).map(|(place, query)| *place = query).count();
            if count == 0 {
                break;
            }
            let (few, rows) = (&few[..count], row..row + count);
            let sums = &mut self.sums[rows.start * dim..rows.end * dim];
            let totals = &mut self.totals[rows];
            match head {
                Head::F16(head) => Task { head, segment, scale }.gather(few, sums, totals),
                Head::F32(head) => Task { head, segment, scale }.gather(few, sums, totals),
            }
            row += count;
        }
        assert_eq!(row, self.totals.len());
    }

    /// Adds what the same queries have gathered over later positions.
    pub(super) fn merge(&mut self, later: &Gathered) {
        let dim = self.dim();
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
        let rows = self.sums.chunks_exact(self.dim());
        for ((sums, (total, _)), out) in rows.zip(&self.totals).zip(out) {
            let factor = 1.0 / total;
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * factor);
        }
    }

    /// Elements of a query's sums.
    fn dim(&self) -> usize {
        self.sums.len() / self.totals.len()
    }
}

/// One head's positions to be gathered.
#[derive(Clone, Copy)]
struct Task<'a, E> {
    head: HeadOf<'a, E>,
    segment: usize,
    scale: f32,
}

impl<E> Task<'_, E> {
    /// The positions of the segment that are seen by a query that sees the first `visible`.
    fn positions(&self, visible: usize) -> Range<usize> {
        let start = self.segment * SEGMENT;
        start..visible.clamp(start, start + SEGMENT)
    }
}

#[cfg(test)]
mod tests {
    use tercet_kernels_ref::ops as reference;
    use tercet_pool::Pool;

    use super::super::cache::KvCache;
    use super::*;
    use crate::model::Preset;
    use crate::runtime::CacheType;
    use tercet_formats::config::Config;

    pub(super) fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    /// A cache of one head that holds `keys` and `values`.
    pub(super) fn cache(kind: CacheType, dim: usize, keys: &[f32], values: &[f32]) -> KvCache {
        let preset = Preset::find("bitnet-2b-4t").unwrap();
        let config = Config { layers: 1, kv_heads: 1, head_dim: dim, ..preset.config() };
        let mut cache = KvCache::new(&config, kind, keys.len() / dim);
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
        let halves = |x: &[f32]| x.iter().map(|x| half::f16::from_f32(*x).to_f32()).collect::<Vec<_>>();
        let positions = SEGMENT + 45;
        let dims = [7, 32, 100, 128];
        for (dim, kind) in dims.into_iter().flat_map(|dim| CacheType::ALL.map(|kind| (dim, kind))) {
            let (keys, values) = (wave(positions * dim, 0.4), wave(positions * dim, 0.9));
            let cache = cache(kind, dim, &keys, &values);
            let (keys, values) = match kind {
                CacheType::F16 => (halves(&keys), halves(&values)),
                CacheType::F32 => (keys, values),
            };
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
                let seen = query.visible * dim;
                let scaled: Vec<f32> = query.elements.iter().map(|x| x * 0.3 * (dim as f32).sqrt()).collect();
                let expected = reference::attention(&scaled, &keys[..seen], &values[..seen], 1, 1);
                for (found, expected) in found.iter().zip(expected) {
                    let visible = query.visible;
                    assert!((found - expected).abs() < 1e-5, "{dim} {kind:?} {visible}: {found} {expected}");
                }
            }
        }
    }
}
