//! Float arithmetic between the products: one order of sums on every ISA, thread count and batch size.
//!
//! `multiversion` compiles each function for wider vectors too, which changes speed and no bit: Rust never fuses a
//! multiplication with an addition.

use multiversion::multiversion;

use super::dot::dot;

/// out += x, for the first `len` elements.
pub(crate) fn add(out: &mut [f32], x: &[f32], len: usize) {
    for (out, x) in out[..len].iter_mut().zip(&x[..len]) {
        *out += x;
    }
}

/// out = x / √(mean x² + eps) · gain (Zhang and Sennrich 2019; transformers' `BitNetRMSNorm`).
pub(crate) fn rms_norm(out: &mut [f32], x: &[f32], gain: &[f32], eps: f32) {
    let mean = dot(x, x) / x.len() as f32;
    scale(out, x, 1.0 / (mean + eps).sqrt(), gain);
}

/// out = x · factor · gain.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn scale(out: &mut [f32], x: &[f32], factor: f32, gain: &[f32]) {
    for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
        *out = x * factor * gain;
    }
}

/// Quantizes one token by its largest magnitude and returns what turns integer sums back: 1 / s, where
/// s = 127 / max(|x|, 1e-5) and q = round(x · s), half to even, within -128 and 127 (transformers' `ActQuant`).
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn quantize(out: &mut [i8], x: &[f32]) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves no fraction bits, rounding half to even
    // The bits of magnitudes order like the magnitudes, and the largest integer is found in vectors. NaN is the largest.
    let bits = x.iter().fold(1e-5f32.to_bits(), |largest, x| largest.max(x.abs().to_bits()));
    let largest = f32::from_bits(bits);
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
    let total: f32 = scores.iter().sum();
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
    fn quantization_is_the_reference_bit_for_bit() {
        let ties: Vec<f32> = (-254..=254).map(|i| i as f32 * 0.5).collect();
        for x in
            [wave(1000, 0.3), ties, vec![0.0; 33], vec![1e-30; 5], vec![-3.0, 1.0], vec![65_504.0 * 9.0; 17]]
        {
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
