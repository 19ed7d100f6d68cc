//! Float arithmetic between the products.
//!
//! Sums run over [`LANES`] interleaved lanes that are added pairwise at the end: one order on every ISA, thread count
//! and batch size. `multiversion` compiles each function for wider vectors too, which changes speed and no bit:
//! Rust never fuses a multiplication with an addition.

use half::{bf16, f16};
use multiversion::multiversion;

use crate::formats::Floats;

/// Lanes of every sum.
const LANES: usize = 16;

fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Σ of `term` over pairs, in lane order.
#[inline(always)]
fn sum_pairs<A: Copy, B: Copy>(a: &[A], b: &[B], term: impl Fn(A, B) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for i in 0..LANES {
            lanes[i] += term(a[i], b[i]);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += term(a, b);
    }
    add_lanes(lanes)
}

/// Σ a·b.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_pairs(a, b, |a, b| a * b)
}

/// Σ a·b, with b as it is stored.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn dot_stored(a: &[f32], b: Floats<'_>) -> f32 {
    match b {
        Floats::Bf16(b) => sum_pairs(a, b.as_chunks().0, |a, b| a * bf16::from_le_bytes(b).to_f32()),
        Floats::F16(b) => sum_pairs(a, b.as_chunks().0, |a, b| a * f16::from_le_bytes(b).to_f32()),
        Floats::F32(b) => sum_pairs(a, b.as_chunks().0, |a, b| a * f32::from_le_bytes(b)),
    }
}

/// out += factor · x.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn add_scaled(out: &mut [f32], factor: f32, x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += factor * x;
    }
}

/// out += x, for the first `len` elements.
pub(crate) fn add(out: &mut [f32], x: &[f32], len: usize) {
    for (out, x) in out[..len].iter_mut().zip(&x[..len]) {
        *out += x;
    }
}

/// out = x / √(mean x² + eps) · gain (Zhang and Sennrich 2019; transformers' `BitNetRMSNorm`).
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn rms_norm(out: &mut [f32], x: &[f32], gain: &[f32], eps: f32) {
    let mean = sum_pairs(x, x, |a, b| a * b) / x.len() as f32;
    let scale = 1.0 / (mean + eps).sqrt();
    for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
        *out = x * scale * gain;
    }
}

/// Quantizes one token by its largest magnitude and returns what turns integer sums back: 1 / s, where
/// s = 127 / max(|x|, 1e-5) and q = round(x · s), half to even, within -128 and 127 (transformers' `ActQuant`).
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn quantize(out: &mut [i8], x: &[f32]) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves no fraction bits, rounding half to even
    let mut largest = [1e-5f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for i in 0..LANES {
            let magnitude = x[i].abs();
            largest[i] = if magnitude > largest[i] { magnitude } else { largest[i] };
        }
    }
    let largest = rest.iter().map(|x| x.abs()).chain(largest).fold(1e-5, f32::max);
    let s = 127.0 / largest;
    for (out, x) in out.iter_mut().zip(x) {
        *out = ((x * s + ROUND) - ROUND).clamp(-128.0, 127.0) as i8;
    }
    1.0 / s
}

/// gate = max(gate, 0)² · up.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn relu2_gate(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        let positive = if *gate > 0.0 { *gate } else { 0.0 };
        *gate = positive * positive * up;
    }
}

/// Turns scores into weights that sum to one.
pub(crate) fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in &mut *scores {
        *score = libm::expf(*score - largest);
    }
    let total = sum_pairs(scores, scores, |a, _| a);
    for score in scores {
        *score /= total;
    }
}

/// Rotary embedding of one head: pairs (i, i + d/2), turned by their angle (Su et al. 2021; transformers' `rotate_half`).
pub(crate) fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(cos.len());
    for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

#[cfg(test)]
mod tests {
    use tercet_kernels_ref::{ops as reference, quantize as reference_quantize};

    use super::*;

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37 + phase).sin() * (1.0 + i as f32 % 5.0)).collect()
    }

    #[test]
    fn sums_are_close_to_the_exact_ones() {
        for len in [1, 15, 16, 17, 100, 257] {
            let (a, b) = (wave(len, 0.1), wave(len, 0.7));
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-3, "{len}");
        }
    }

    #[test]
    fn quantization_is_the_reference_bit_for_bit() {
        let ties: Vec<f32> = (-254..=254).map(|i| i as f32 * 0.5).collect();
        for x in [wave(1000, 0.3), ties, vec![0.0; 33], vec![1e-30; 5], vec![-3.0, 1.0], vec![65_504.0 * 9.0; 17]] {
            let mut out = vec![0; x.len()];
            let back = quantize(&mut out, &x);
            let (expected, s) = reference_quantize::absmax(&x);
            assert_eq!(out, expected);
            assert_eq!(back.to_bits(), (1.0 / s).to_bits());
        }
    }

    #[test]
    fn norm_agrees_with_the_reference() {
        let (x, gain) = (wave(300, 0.2), wave(300, 0.9));
        let mut out = vec![0.0; 300];
        rms_norm(&mut out, &x, &gain, 1e-5);
        for (a, b) in out.iter().zip(reference::rms_norm(&x, &gain, 1e-5)) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }
}
