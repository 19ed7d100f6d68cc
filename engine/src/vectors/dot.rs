//! Dot products of floats, summed in one order on every CPU.
//!
//! Element i belongs to lane i mod [`LANES`]. Each lane is one chain of fused multiply-adds. At the end
//! the lanes are added pairwise: lane i and lane i + 16, then i + 8, and so on.

use multiversion::multiversion;
use tercet_formats::Floats;

use super::vector::{Baseline, Vector, from_bf16};

/// Lanes of every sum: enough to hide the latency of additions in vectors of 128 to 512 bits.
pub(crate) const LANES: usize = 32;

type Lane = [f32; LANES];

/// Stored elements that are converted together: a multiple of LANES and of every stored block.
const PIECE: usize = 256;

/// Returns Σ a·b.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks(), b.as_chunks::<LANES>());
    sum(lanes([0.0; LANES], a, Rows::F32(b)), a_rest, b_rest, |b| b)
}

/// Returns Σ a·b, with b in its stored format.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn dot_stored(a: &[f32], b: Floats<'_>) -> f32 {
    dot_stored_before(a, b, b)
}

/// Returns Σ a·b, with b in its stored format. Meanwhile it prefetches `next`, if both are stored in bf16.
///
/// # Panics
/// If `a` and `b` differ in length.
pub(crate) fn dot_stored_before(a: &[f32], b: Floats<'_>, next: Floats<'_>) -> f32 {
    assert_eq!(a.len(), b.len());
    if let Floats::Bf16(b) = b {
        let next = if let Floats::Bf16(next) = next { next } else { b };
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks(), b.as_chunks::<2>().0.as_chunks::<LANES>());
        return sum(lanes([0.0; LANES], a, Rows::Bf16(b, next)), a_rest, b_rest, from_bf16);
    }
    let (whole, rest) = a.as_chunks::<PIECE>();
    let mut piece = [0.0; PIECE];
    let mut partial = [0.0; LANES];
    for (i, a) in whole.iter().enumerate() {
        b.read(i * PIECE, &mut piece);
        partial = lanes(partial, a.as_chunks().0, Rows::F32(piece.as_chunks().0));
    }
    let piece = &mut piece[..rest.len()];
    b.read(whole.len() * PIECE, piece);
    let ((a, a_rest), (b, b_rest)) = (rest.as_chunks(), piece.as_chunks());
    sum(lanes(partial, a, Rows::F32(b)), a_rest, b_rest, |b| b)
}

/// Returns Σ x·trit, in double precision.
///
/// # Panics
/// If the lengths differ.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn dot_trits(x: &[f64], trits: &[i8]) -> f64 {
    assert_eq!(x.len(), trits.len());
    let ((x, x_rest), (trits, trits_rest)) = (x.as_chunks::<LANES>(), trits.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (x, trits) in x.iter().zip(trits) {
        for ((lane, x), trit) in lanes.iter_mut().zip(x).zip(trits) {
            *lane += x * f64::from(*trit);
        }
    }
    let rest = x_rest.iter().zip(trits_rest).map(|(x, trit)| x * f64::from(*trit));
    lanes.iter().sum::<f64>() + rest.sum::<f64>()
}

/// Adds the products of the last elements, `a` and `b`, to `lanes`, and returns the sum of all lanes.
fn sum<B: Copy>(mut lanes: Lane, a: &[f32], b: &[B], value: impl Fn(B) -> f32) -> f32 {
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(value(*b), *lane);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Second factors, [`LANES`] to a row.
#[derive(Clone, Copy)]
enum Rows<'a> {
    F32(&'a [Lane]),
    /// With the bytes to prefetch.
    Bf16(&'a [[[u8; 2]; LANES]], &'a [u8]),
}

/// Returns `sums` + Σ a·b, lane by lane.
fn lanes(sums: Lane, a: &[Lane], b: Rows<'_>) -> Lane {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has AVX-512 F, as just detected.
        return unsafe { x86::with_avx512(sums, a, b) };
    } else if super::vector::x86::has_avx2() {
        // SAFETY: the CPU has AVX2, F16C and FMA, as just detected.
        return unsafe { x86::with_avx2(sums, a, b) };
    }
    // SAFETY: every CPU that can run this program has the baseline.
    unsafe { lanes_in::<Baseline>(sums, a, b) }
}

/// Computes [`lanes`] in vectors of type `V`.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn lanes_in<V: Vector>(mut lanes: Lane, a: &[Lane], b: Rows<'_>) -> Lane {
    const REGISTERS: usize = 8;
    const { assert!(LANES.is_multiple_of(V::LANES) && LANES / V::LANES <= REGISTERS) };
    // SAFETY:
    // - the CPU has the vector's instructions: the caller promises it;
    // - `lanes` and each row of `a` and `b` have LANES elements, and V::LANES divides LANES (assertion), so
    //   vector i, which starts at element i * V::LANES, is within them;
    // - a prefetch may name any address.
    unsafe {
        let mut sums = [V::splat(0.0); REGISTERS];
        for (i, sum) in sums.iter_mut().take(LANES / V::LANES).enumerate() {
            *sum = V::load(lanes.as_ptr().add(i * V::LANES));
        }
        match b {
            Rows::F32(b) => a.iter().zip(b).for_each(|(a, b)| {
                add::<V>(&mut sums, a, |i| V::load(b.as_ptr().add(i)));
            }),
            Rows::Bf16(b, next) => a.iter().zip(b).enumerate().for_each(|(i, (a, b))| {
                // Each row takes a cache line.
                V::prefetch(next.as_ptr().wrapping_add(i * size_of_val(b)));
                add::<V>(&mut sums, a, |i| V::load_bf16(b.as_ptr().add(i)));
            }),
        }
        for (i, sum) in sums.into_iter().take(LANES / V::LANES).enumerate() {
            sum.store(lanes.as_mut_ptr().add(i * V::LANES));
        }
    }
    lanes
}

/// Adds the products of one row to `sums`; `b` loads the vector that starts at an element.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn add<V: Vector>(sums: &mut [V], a: &Lane, b: impl Fn(usize) -> V) {
    for (i, sum) in sums.iter_mut().take(LANES / V::LANES).enumerate() {
        let first = i * V::LANES;
        // SAFETY: the caller promises the instructions; vector i is within the LANES elements of `a`.
        *sum = unsafe { sum.add_product(V::load(a.as_ptr().add(first)), b(first)) };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512};

    use super::{Lane, Rows, lanes_in};

    #[target_feature(enable = "avx512f")]
    pub(super) fn with_avx512(sums: Lane, a: &[Lane], b: Rows<'_>) -> Lane {
        // SAFETY: this function enables the vector's features.
        unsafe { lanes_in::<__m512>(sums, a, b) }
    }

    #[target_feature(enable = "avx2,f16c,fma")]
    pub(super) fn with_avx2(sums: Lane, a: &[Lane], b: Rows<'_>) -> Lane {
        // SAFETY: this function enables the vector's features.
        unsafe { lanes_in::<__m256>(sums, a, b) }
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
            assert_eq!(dot(&a, &b).to_bits(), sum([0.0; LANES], &a, &b, |b| b).to_bits());
            let stored: Vec<u8> = b.iter().flat_map(|b| half::bf16::from_f32(*b).to_le_bytes()).collect();
            let expected = sum([0.0; LANES], &a, stored.as_chunks().0, from_bf16);
            assert_eq!(dot_stored(&a, Floats::Bf16(&stored)).to_bits(), expected.to_bits());
            let stored: Vec<u8> = b.iter().flat_map(|b| b.to_le_bytes()).collect();
            assert_eq!(dot_stored(&a, Floats::F32(&stored)).to_bits(), dot(&a, &b).to_bits());
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
