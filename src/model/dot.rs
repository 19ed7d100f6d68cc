//! Dot products of floats, in one order on every CPU: [`LANES`] interleaved lanes, added pairwise at the end.
//!
//! Compilers do not find vectors in such loops, so AVX2 and AVX-512 are spelled out. Products and sums are rounded
//! separately everywhere.

use half::f16;
use multiversion::multiversion;

use crate::formats::Floats;

/// Lanes of every sum: enough to hide an addition's latency on 256- and 512-bit vectors.
pub(super) const LANES: usize = 32;

type Lane = [f32; LANES];

/// Σ a·b.
///
/// # Panics
/// If the lengths differ.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut out = [0.0];
    dot_rows(a, b, 1.0, &mut out);
    out[0]
}

/// out\[i\] = Σ a·row\[i\] · factor, for the rows of `rows`, each as long as `a`.
///
/// # Panics
/// If there are not as many rows as results.
pub(super) fn dot_rows(a: &[f32], rows: &[f32], factor: f32, out: &mut [f32]) {
    assert_eq!(rows.len(), a.len() * out.len());
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just detected.
        return unsafe { x86::avx512_rows(a, rows, factor, out) };
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { x86::avx2_rows(a, rows, factor, out) };
    }
    each_row(a, rows, factor, out, lanes_f32);
}

/// [`dot_rows`] with `lanes` for the whole vectors.
#[inline(always)]
fn each_row(a: &[f32], rows: &[f32], factor: f32, out: &mut [f32], lanes: impl Fn(&[Lane], &[Lane]) -> Lane) {
    let (whole, rest) = a.as_chunks();
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(a.len())) {
        let (row_whole, row_rest) = row.as_chunks();
        let mut lanes = lanes(whole, row_whole);
        for ((lane, a), b) in lanes.iter_mut().zip(rest).zip(row_rest) {
            *lane += a * b;
        }
        *out = add(lanes) * factor;
    }
}

/// out = Σ weights\[i\] · row\[i\], for the rows of `rows`, each as long as `out`; one after another.
///
/// # Panics
/// If there are not as many rows as weights.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(super) fn add_rows(out: &mut [f32], rows: &[f32], weights: &[f32]) {
    assert_eq!(rows.len(), out.len() * weights.len());
    let width = out.len();
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    for (chunk, out) in whole.iter_mut().enumerate() {
        let mut sums = [0.0; LANES];
        for (row, weight) in rows.chunks_exact(width).zip(weights) {
            let part = &row.as_chunks::<LANES>().0[chunk];
            for i in 0..LANES {
                sums[i] += weight * part[i];
            }
        }
        *out = sums;
    }
    let start = width - rest.len();
    for (i, out) in rest.iter_mut().enumerate() {
        let column = rows.chunks_exact(width).map(|row| row[start + i]);
        *out = column.zip(weights).fold(0.0, |sum, (element, weight)| sum + weight * element);
    }
}

/// Σ a·b, with b as it is stored.
///
/// # Panics
/// If the lengths differ.
pub(super) fn dot_stored(a: &[f32], b: Floats<'_>) -> f32 {
    assert_eq!(a.len(), b.len());
    match b {
        Floats::Bf16(b) => dot_bf16(a, b),
        Floats::F16(b) => sum(a, b.as_chunks().0, |b| f16::from_le_bytes(b).to_f32()),
        Floats::F32(b) => sum(a, b.as_chunks().0, f32::from_le_bytes),
    }
}

fn dot_bf16(a: &[f32], b: &[u8]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks(), b.as_chunks());
    let mut lanes = lanes_bf16(a, b);
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest.as_chunks().0) {
        *lane += a * from_bf16(*b);
    }
    add(lanes)
}

/// Σ a·value(b), lane by lane.
fn sum<B: Copy>(a: &[f32], b: &[B], value: impl Fn(B) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * value(*b);
        }
    }
    add(lanes)
}

#[inline(always)]
fn add(mut lanes: Lane) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

fn from_bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

fn lanes_f32(a: &[Lane], b: &[Lane]) -> Lane {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes
}

fn lanes_bf16(a: &[Lane], b: &[[u8; 2 * LANES]]) -> Lane {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just detected.
        return unsafe { x86::avx512_bf16(a, b) };
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { x86::avx2_bf16(a, b) };
    }
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b.as_chunks().0) {
            *lane += a * from_bf16(*b);
        }
    }
    lanes
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Lane, each_row};

    /// A function that adds products in vectors of `$width` floats, `$load` giving the vector at element i of `$b`'s.
    macro_rules! lanes {
        ($name:ident, $feature:literal, $width:literal, $b:ty, $loadu:ident, $load:expr, $zero:ident, $mul:ident, $add:ident, $store:ident) => {
            #[target_feature(enable = $feature)]
            #[inline]
            pub(super) fn $name(a: &[Lane], b: &[$b]) -> Lane {
                let mut sums = [$zero(); LANES / $width];
                for (a, b) in a.iter().zip(b) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: vector i lies within the LANES elements of `a`.
                        let a = unsafe { $loadu(a.as_ptr().add(i * $width)) };
                        *sum = $add(*sum, $mul(a, $load(b, i)));
                    }
                }
                let mut lanes = [0.0; LANES];
                for (i, sum) in sums.into_iter().enumerate() {
                    // SAFETY: vector i lies within the LANES elements of `lanes`.
                    unsafe { $store(lanes.as_mut_ptr().add(i * $width), sum) };
                }
                lanes
            }
        };
    }

    lanes!(
        avx512_f32,
        "avx512f",
        16,
        Lane,
        _mm512_loadu_ps,
        load_512,
        _mm512_setzero_ps,
        _mm512_mul_ps,
        _mm512_add_ps,
        _mm512_storeu_ps
    );
    lanes!(
        avx512_bf16,
        "avx512f",
        16,
        [u8; 2 * LANES],
        _mm512_loadu_ps,
        widen_512,
        _mm512_setzero_ps,
        _mm512_mul_ps,
        _mm512_add_ps,
        _mm512_storeu_ps
    );
    lanes!(
        avx2_f32,
        "avx2",
        8,
        Lane,
        _mm256_loadu_ps,
        load_256,
        _mm256_setzero_ps,
        _mm256_mul_ps,
        _mm256_add_ps,
        _mm256_storeu_ps
    );
    lanes!(
        avx2_bf16,
        "avx2",
        8,
        [u8; 2 * LANES],
        _mm256_loadu_ps,
        widen_256,
        _mm256_setzero_ps,
        _mm256_mul_ps,
        _mm256_add_ps,
        _mm256_storeu_ps
    );

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512_rows(a: &[f32], rows: &[f32], factor: f32, out: &mut [f32]) {
        each_row(a, rows, factor, out, |a, b| avx512_f32(a, b));
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_rows(a: &[f32], rows: &[f32], factor: f32, out: &mut [f32]) {
        each_row(a, rows, factor, out, |a, b| avx2_f32(a, b));
    }

    #[target_feature(enable = "avx512f")]
    fn load_512(lane: &Lane, i: usize) -> __m512 {
        let part: &[f32; 16] = lane[16 * i..].first_chunk().expect("LANES is a multiple of 16");
        // SAFETY: the sixteen elements were just borrowed.
        unsafe { _mm512_loadu_ps(part.as_ptr()) }
    }

    #[target_feature(enable = "avx512f")]
    fn widen_512(bf16: &[u8; 2 * LANES], i: usize) -> __m512 {
        let part: &[u8; 32] = bf16[32 * i..].first_chunk().expect("LANES is a multiple of 16");
        // SAFETY: the 32 bytes were just borrowed.
        let halves = unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
    }

    #[target_feature(enable = "avx2")]
    fn load_256(lane: &Lane, i: usize) -> __m256 {
        let part: &[f32; 8] = lane[8 * i..].first_chunk().expect("LANES is a multiple of 8");
        // SAFETY: the eight elements were just borrowed.
        unsafe { _mm256_loadu_ps(part.as_ptr()) }
    }

    #[target_feature(enable = "avx2")]
    fn widen_256(bf16: &[u8; 2 * LANES], i: usize) -> __m256 {
        let part: &[u8; 16] = bf16[16 * i..].first_chunk().expect("LANES is a multiple of 8");
        // SAFETY: the 16 bytes were just borrowed.
        let halves = unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    #[test]
    fn vectors_add_in_the_portable_order() {
        for len in [1, 31, 32, 33, 64, 100, 257, 2560] {
            let (a, b) = (wave(len, 0.1), wave(len, 0.7));
            assert_eq!(dot(&a, &b).to_bits(), sum(&a, &b, |b| b).to_bits());
            let stored: Vec<u8> = b.iter().flat_map(|b| half::bf16::from_f32(*b).to_le_bytes()).collect();
            let expected = sum(&a, stored.as_chunks().0, from_bf16);
            assert_eq!(dot_stored(&a, Floats::Bf16(&stored)).to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn rows_are_added_one_after_another() {
        for width in [1, 31, 64, 100] {
            let (rows, weights) = (wave(7 * width, 0.4), wave(7, 0.2));
            let mut out = vec![f32::NAN; width];
            add_rows(&mut out, &rows, &weights);
            for (i, out) in out.iter().enumerate() {
                let expected = (0..7).fold(0.0, |sum, row| sum + weights[row] * rows[row * width + i]);
                assert_eq!(out.to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn sums_are_close_to_the_exact_ones() {
        for len in [1, 31, 32, 33, 100, 257] {
            let (a, b) = (wave(len, 0.1), wave(len, 0.7));
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-3, "{len}");
        }
    }
}
