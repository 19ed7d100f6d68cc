//! Attention of a few queries over one head's keys and values, segment by segment (Milakov and Gimelshein
//! 2018, Dao et al. 2022). The scores stay in the core's L1 cache.
//!
//! Segments have [`SEGMENT`] positions, start at fixed positions, and are merged in order. So the result
//! depends neither on the queries that are gathered together nor on the threads that gather segments.

use super::cache::Head;
use crate::vectors::attention::{Segment, TOGETHER};
use crate::vectors::ops::exp;

pub(super) use crate::vectors::attention::{Query, SEGMENT};

/// The sums of some queries over some positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// Σ exp(score - largest) · value, query × head_dim.
    sums: Vec<f32>,
    /// Σ exp(score - largest) and the largest score, for each query.
    totals: Vec<(f32, f32)>,
}

impl Gathered {
    /// Returns sums of no positions, for `queries` queries.
    pub(super) fn new(queries: usize, head_dim: usize) -> Self {
        Gathered { sums: vec![0.0; queries * head_dim], totals: vec![(0.0, 0.0); queries] }
    }

    /// Replaces the sums by those of `queries` over segment number `segment`. Scores are multiplied by
    /// `scale`.
    ///
    /// # Panics
    /// If a query is not as wide as the head, or the number of queries is not that of [`Gathered::new`].
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
            let mut few = [Query { elements: &[], hidden: 0, visible: 0 }; TOGETHER];
            let count = few.iter_mut().zip(&mut queries).map(|(place, query)| *place = query).count();
            if count == 0 {
                break;
            }
            let (few, rows) = (&few[..count], row..row + count);
            let sums = &mut self.sums[rows.start * dim..rows.end * dim];
            let totals = &mut self.totals[rows];
            let first = segment * SEGMENT;
            match head {
                Head::F16(head) => Segment { head, first, scale }.gather(few, sums, totals),
                Head::F32(head) => Segment { head, first, scale }.gather(few, sums, totals),
                Head::Q8(head) => Segment { head, first, scale }.gather(few, sums, totals),
            }
            row += count;
        }
        assert_eq!(row, self.totals.len());
    }

    /// Adds the sums of the same queries over later positions.
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

    /// Writes each query's result to its row of `out`: the mean of its values, weighted by the softmax
    /// of its scores.
    pub(super) fn write_means<'o>(&self, out: impl Iterator<Item = &'o mut [f32]>) {
        let rows = self.sums.chunks_exact(self.dim());
        for ((sums, (total, _)), out) in rows.zip(&self.totals).zip(out) {
            let factor = 1.0 / total;
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * factor);
        }
    }

    /// Returns the elements of a query's sums.
    fn dim(&self) -> usize {
        self.sums.len() / self.totals.len()
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

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    /// Returns a cache of one head that holds `keys` and `values`.
    fn cache(kind: CacheType, dim: usize, keys: &[f32], values: &[f32]) -> KvCache {
        let preset = Preset::find("bitnet-2b-4t").unwrap();
        let config = Config { layers: 1, kv_heads: 1, head_dim: dim, ..preset.config() };
        let mut cache = KvCache::new(&config, kind, keys.len() / dim).unwrap();
        cache.reach(0, keys.len() / dim).unwrap();
        cache.store(&Pool::new(1).unwrap(), 0, 0, keys, values);
        cache
    }

    /// Returns the results of all queries, gathered together.
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
    fn every_query_gets_the_weighted_mean_of_its_positions_alone_or_with_others() {
        let halves = |x: &[f32]| x.iter().map(|x| half::f16::from_f32(*x).to_f32()).collect::<Vec<_>>();
        let bytes = |x: &[f32], dim| {
            let rows = x.chunks(dim).flat_map(|row| {
                let mut rounded = vec![0; dim];
                let step = crate::vectors::ops::quantize(&mut rounded, row);
                rounded.into_iter().map(move |byte| f32::from(byte) * step)
            });
            rows.collect::<Vec<f32>>()
        };
        let positions = SEGMENT + 45;
        let dims = [6, 32, 100, 128];
        for (dim, kind) in dims.into_iter().flat_map(|dim| CacheType::ALL.map(|kind| (dim, kind))) {
            let (keys, values) = (wave(positions * dim, 0.4), wave(positions * dim, 0.9));
            let cache = cache(kind, dim, &keys, &values);
            let (keys, values) = match kind {
                CacheType::F16 => (halves(&keys), halves(&values)),
                CacheType::F32 => (keys, values),
                CacheType::Q8 => (bytes(&keys, dim), bytes(&values, dim)),
            };
            // Queries in bytes' sums have 13 bits.
            let bound = if kind == CacheType::Q8 { 5e-3 } else { 1e-5 };
            let head = cache.head(0, 0);
            let elements = wave(11 * dim, 0.1);
            let visible = [1, 2, 31, 32, 33, 64, 300, SEGMENT, SEGMENT + 1, SEGMENT + 33, positions];
            for window in [usize::MAX, 1, 40, SEGMENT + 7] {
                let query = |(elements, visible): (_, usize)| Query {
                    elements,
                    hidden: visible.saturating_sub(window),
                    visible,
                };
                let queries: Vec<Query<'_>> = elements.chunks(dim).zip(visible).map(query).collect();
                let together = attend(&queries, head);
                for (query, found) in queries.iter().zip(together.chunks(dim)) {
                    let alone = attend(&[*query], head);
                    assert!(
                        found.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()),
                        "{}",
                        query.visible
                    );
                    let seen = query.hidden * dim..query.visible * dim;
                    let scaled: Vec<f32> =
                        query.elements.iter().map(|x| x * 0.3 * (dim as f32).sqrt()).collect();
                    let expected = reference::attention(&scaled, &keys[seen.clone()], &values[seen], 1, 1);
                    for (found, expected) in found.iter().zip(expected) {
                        let visible = query.visible;
                        assert!(
                            (found - expected).abs() < bound,
                            "{dim} {kind:?} {visible}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }
}
