//! Gathers several queries at once, with the best vectors of this CPU.

use super::Query;
use crate::vectors::vector::{Baseline, Vector};

/// A segment with loops for every kind of vectors.
pub(super) trait Gather: Copy {
    /// Returns the elements of a key or value.
    fn dim(self) -> usize;

    /// Gathers for `Q` queries together.
    ///
    /// # Safety
    /// The CPU has the instructions of `V`.
    unsafe fn some<V: Vector, const Q: usize>(
        self,
        queries: &[Query<'_>],
        sums: &mut [f32],
        totals: &mut [(f32, f32)],
    );
}

/// Writes each query's weighted sum of values to its row of `sums`, which is zero. Writes the sum of the weights and the
/// largest score to `totals`.
///
/// # Panics
/// If a query is not as wide as the keys.
pub(super) fn gather<G: Gather>(
    segment: G,
    queries: &[Query<'_>],
    sums: &mut [f32],
    totals: &mut [(f32, f32)],
) {
    assert!(queries.iter().all(|query| query.elements.len() == segment.dim()));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
    {
        if is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the CPU has the features, as just detected.
            return unsafe { with_vnni(segment, queries, sums, totals) };
        }
        // SAFETY: the CPU has the features, as just detected.
        return unsafe { with_avx512(segment, queries, sums, totals) };
    } else if crate::vectors::vector::x86::has_avx2() {
        // SAFETY: the CPU has the features, as just detected.
        return unsafe { with_avx2(segment, queries, sums, totals) };
    }
    // SAFETY: every CPU that can run this program has the baseline.
    unsafe { run::<Baseline, G>(segment, queries, sums, totals) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn with_vnni<G: Gather>(segment: G, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
    // SAFETY: `Vnni` needs AVX-512 F, BW and VNNI, which this function enables.
    unsafe { run::<crate::vectors::vector::x86::Vnni, G>(segment, queries, sums, totals) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn with_avx512<G: Gather>(segment: G, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
    // SAFETY: `__m512` needs AVX-512 F and BW, which this function enables.
    unsafe { run::<std::arch::x86_64::__m512, G>(segment, queries, sums, totals) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c,fma")]
fn with_avx2<G: Gather>(segment: G, queries: &[Query<'_>], sums: &mut [f32], totals: &mut [(f32, f32)]) {
    // SAFETY: `__m256` needs AVX2, F16C and FMA, which this function enables.
    unsafe { run::<std::arch::x86_64::__m256, G>(segment, queries, sums, totals) };
}

/// Gathers for as many queries at a time as the register file holds.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn run<V: Vector, G: Gather>(
    segment: G,
    queries: &[Query<'_>],
    sums: &mut [f32],
    totals: &mut [(f32, f32)],
) {
    let mut row = 0;
    while row < queries.len() {
        let left = V::ROWS.min(queries.len() - row);
        let together = [8, 4, 2, 1].into_iter().find(|&count| count <= left).unwrap_or(1);
        let rows = row..row + together;
        let (queries, totals) = (&queries[rows.clone()], &mut totals[rows.clone()]);
        let sums = &mut sums[rows.start * segment.dim()..rows.end * segment.dim()];
        // SAFETY: the caller promises the instructions of `V`.
        unsafe {
            match together {
                8 => segment.some::<V, 8>(queries, sums, totals),
                4 => segment.some::<V, 4>(queries, sums, totals),
                2 => segment.some::<V, 2>(queries, sums, totals),
                _ => segment.some::<V, 1>(queries, sums, totals),
            }
        }
        row += together;
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::super::{Elements, KeysValues, Segment, Stored};
    use super::*;

    type Totals = [(f32, f32)];

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    /// Checks that the vectors of this CPU compute the same bits as plain Rust.
    fn check<E: Stored>(dim: usize)
    where
        for<'a> Segment<'a, E>: Gather,
    {
        let positions = 77;
        let mut page = Elements::zeroed(E::of_head(dim)).unwrap();
        let (keys, values) = (wave(positions * dim, 0.4), wave(positions * dim, 0.9));
        for (place, (key, value)) in keys.chunks(dim).zip(values.chunks(dim)).enumerate() {
            E::store(&mut page, place, key, value);
        }
        let pages = [std::sync::Arc::new(page)];
        let elements = wave(8 * dim, 0.1);
        let queries: Vec<Query<'_>> = elements
            .chunks(dim)
            .zip(70..)
            .map(|(elements, visible)| Query { elements, hidden: 0, visible })
            .collect();
        let head = KeysValues { pages: &pages, start: 0, dim };
        let segment = Segment { head, first: 0, scale: 0.2 };
        let run = |gather: &dyn Fn(&mut [f32], &mut Totals)| {
            let (mut sums, mut totals) = (vec![0.0; 8 * dim], vec![(0.0, f32::NEG_INFINITY); 8]);
            gather(&mut sums, &mut totals);
            let totals = totals.into_iter().flat_map(|(total, largest)| [total, largest]);
            sums.into_iter().chain(totals).map(f32::to_bits).collect::<Vec<_>>()
        };
        // SAFETY: plain Rust needs no special instructions.
        let plain =
            run(&|sums, totals| unsafe { super::run::<[f32; 8], _>(segment, &queries, sums, totals) });
        assert_eq!(run(&|sums, totals| super::gather(segment, &queries, sums, totals)), plain);
        #[cfg(target_arch = "x86_64")]
        if crate::vectors::vector::x86::has_avx2() {
            // SAFETY: the CPU has the features, as just detected.
            assert_eq!(run(&|sums, totals| unsafe { with_avx2(segment, &queries, sums, totals) }), plain);
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the CPU has the features, as just detected.
            assert_eq!(run(&|sums, totals| unsafe { with_avx512(segment, &queries, sums, totals) }), plain);
        }
    }

    #[test]
    fn vectors_compute_the_same_bits_as_plain_rust() {
        for dim in [6, 100, 128] {
            check::<f16>(dim);
            check::<i8>(dim);
        }
    }
}
