//! Norms, activations, rounding to integers, and rotary embeddings.
//!
//! `multiversion` compiles each function for several vector widths. The results have the same bits at
//! every width, because Rust never fuses a multiplication and an addition by itself.

use multiversion::multiversion;

use super::dot::dot;

/// 1.5 · 2²³. Adding it to a float rounds that to an integer, half to even: the sum has no fraction bits.
const ROUND: f32 = 12_582_912.0;

/// Adds `x` to `out`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn add(out: &mut [f32], x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += x);
}

/// Writes x / √(mean x² + eps) · gain to `out` (Zhang and Sennrich 2019; transformers' `BitNetRMSNorm`).
pub(crate) fn rms_norm(out: &mut [f32], x: &[f32], gain: &[f32], eps: f32) {
    let mean = dot(x, x) / x.len() as f32;
    scale(out, x, 1.0 / (mean + eps).sqrt(), gain);
}

/// Computes [`rms_norm`] in place.
pub(crate) fn rms_norm_in_place(x: &mut [f32], gain: &[f32], eps: f32) {
    let mean = dot(x, x) / x.len() as f32;
    let factor = 1.0 / (mean + eps).sqrt();
    x.iter_mut().zip(gain).for_each(|(x, gain)| *x = *x * factor * gain);
}

/// Writes x · factor · gain to `out`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn scale(out: &mut [f32], x: &[f32], factor: f32, gain: &[f32]) {
    for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
        *out = x * factor * gain;
    }
}

/// Quantizes one token to int8 by its largest magnitude, and returns 1 / s, the value of one step.
///
/// s = 127 / max(|x|, 1e-5), and q = round(x · s), half to even, within -128 and 127 (transformers'
/// `ActQuant`).
pub(crate) fn quantize(out: &mut [i8], x: &[f32]) -> f32 {
    let s = int8_factor(x);
    quantize_by(out, x, s);
    1.0 / s
}

/// Returns the factor s of [`quantize`].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn int8_factor(x: &[f32]) -> f32 {
    // The bits of magnitudes have the order of the magnitudes, with NaN as the largest. A loop over
    // integers becomes vector code.
    let bits = x.iter().fold(1e-5f32.to_bits(), |largest, x| largest.max(x.abs().to_bits()));
    127.0 / f32::from_bits(bits)
}

/// Writes the integers of [`quantize`] for a part of its token. `s` is the factor of the whole token.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn quantize_by(out: &mut [i8], x: &[f32], s: f32) {
    for (out, x) in out.iter_mut().zip(x) {
        // The lowest bits of the sum are the integer. `clamp` would keep the loop from becoming vector
        // code.
        let scaled = x * s;
        let scaled = if scaled < -128.0 { -128.0 } else { scaled };
        let scaled = if scaled > 127.0 { 127.0 } else { scaled };
        *out = (scaled + ROUND).to_bits() as i8;
    }
}

/// Writes the values of [`quantize`]'s integers to `out`: q / s, not rounded to f32.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn round_to_int8(out: &mut [f64], x: &[f32]) {
    let s = 127.0 / largest(x).max(1e-5);
    for (out, x) in out.iter_mut().zip(x) {
        let scaled = x * s;
        let scaled = if scaled < -128.0 { -128.0 } else { scaled };
        let scaled = if scaled > 127.0 { 127.0 } else { scaled };
        *out = f64::from(scaled + ROUND - ROUND) / f64::from(s);
    }
}

/// Returns the largest magnitude; NaN counts as larger than every number.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn largest(x: &[f32]) -> f32 {
    f32::from_bits(x.iter().fold(0, |largest, x| largest.max(x.abs().to_bits())))
}

/// Writes round(w / scale), half to even and within ±`largest`, to `q`; 0 if the quotient is NaN.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn quantize_weights(q: &mut [i8], w: &[f32], scale: f32, largest: i8) {
    let largest = f32::from(largest);
    for (q, w) in q.iter_mut().zip(w) {
        let scaled = w / scale;
        let scaled = if scaled.is_nan() { 0.0 } else { scaled };
        let scaled = if scaled < -largest { -largest } else { scaled };
        let scaled = if scaled > largest { largest } else { scaled };
        *q = (scaled + ROUND).to_bits() as i8;
    }
}

/// Returns Σ (scale·q)² and Σ (w - scale·q)².
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn quantized_norms(q: &[i8], w: &[f32], scale: f32) -> (f64, f64) {
    const LANES: usize = 8;
    let squares = |q: i8, w: f32| {
        let approximate = f64::from(scale) * f64::from(q);
        let error = f64::from(w) - approximate;
        (approximate * approximate, error * error)
    };
    let ((qs, q), (ws, w)) = (q.as_chunks::<LANES>(), w.as_chunks::<LANES>());
    let (mut products, mut errors) = ([0f64; LANES], [0f64; LANES]);
    for (q, w) in qs.iter().zip(ws) {
        for lane in 0..LANES {
            let (product, error) = squares(q[lane], w[lane]);
            products[lane] += product;
            errors[lane] += error;
        }
    }
    let rest = q.iter().zip(w).map(|(&q, &w)| squares(q, w));
    let sums = (products.iter().sum(), errors.iter().sum());
    rest.fold(sums, |sums: (f64, f64), squares| (sums.0 + squares.0, sums.1 + squares.1))
}

/// Computes gate = max(gate, 0)² · up.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn relu2_gate(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        let positive = if *gate > 0.0 { *gate } else { 0.0 };
        *gate = positive * positive * up;
    }
}

/// Computes gate = gate / (1 + e^-gate) · up.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn silu_gate(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        let power = exp(-gate.abs());
        let sigmoid = if *gate > 0.0 { 1.0 } else { power } / (1.0 + power);
        *gate = *gate * sigmoid * up;
    }
}

/// Computes gate = gate / 2 · (1 + tanh(√(2/π) · (gate + 0.044715 · gate³))) · up, which is gate · sigmoid(2 · …) · up.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn gelu_gate(gate: &mut [f32], up: &[f32]) {
    /// 2 · √(2/π).
    const FACTOR: f32 = 1.595_769_2;
    for (gate, up) in gate.iter_mut().zip(up) {
        let inner = FACTOR * (*gate + 0.044_715 * *gate * *gate * *gate);
        let power = exp(-inner.abs());
        let sigmoid = if inner > 0.0 { 1.0 } else { power } / (1.0 + power);
        *gate = *gate * sigmoid * up;
    }
}

/// Returns eˣ for x ≤ 0, to within 2 units in the last place; 0 below -87.
///
/// The polynomial is from Cephes' `expf`. There are no branches and tables, so loops over it become
/// vector code.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let rest = x - n * LN_2[0] - n * LN_2[1];
    let tail = POLYNOMIAL.iter().fold(0.0, |sum, coefficient| sum * rest + coefficient);
    // The lowest bits of `shifted` are the integer n.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    if x < -87.0 { 0.0 } else { (tail * (rest * rest) + rest + 1.0) * power }
}

/// Applies the rotary embedding to one head: turns each pair (i, i + d/2) by its angle (Su et al. 2021;
/// transformers' `rotate_half`).
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
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
    fn exponentials_are_exact_to_two_units_in_the_last_place() {
        for i in 0..=8_700 {
            let x = -0.01 * i as f32;
            let (found, expected) = (exp(x), f64::from(x).exp());
            let unit = f64::from(f32::from_bits((expected as f32).to_bits() + 1) - expected as f32);
            assert!((f64::from(found) - expected).abs() <= 2.0 * unit, "{x}: {found} {expected}");
        }
        assert_eq!([exp(0.0), exp(-87.1), exp(-1e30), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gates_agree_with_the_reference() {
        let (gate, up) = (wave(300, 0.2).iter().map(|x| x * 10.0).collect::<Vec<_>>(), wave(300, 0.9));
        let mut out = gate.clone();
        silu_gate(&mut out, &up);
        for (a, b) in out.iter().zip(reference::silu_gate(&gate, &up)) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{a} {b}");
        }
        let mut out = gate.clone();
        gelu_gate(&mut out, &up);
        for (a, b) in out.iter().zip(reference::gelu_gate(&gate, &up)) {
            assert!((a - b).abs() <= 2e-6 * b.abs().max(1e-1), "{a} {b}");
        }
        for gate in [silu_gate, gelu_gate] {
            let mut extremes = [f32::MAX, f32::MIN, 0.0];
            gate(&mut extremes, &[1.0; 3]);
            assert_eq!(extremes, [f32::MAX, 0.0, 0.0]);
        }
    }

    #[test]
    fn norm_agrees_with_the_reference() {
        let (x, gain) = (wave(300, 0.2), wave(300, 0.9));
        let mut out = vec![0.0; 300];
        rms_norm(&mut out, &x, &gain, 1e-5);
        let mut in_place = x.clone();
        rms_norm_in_place(&mut in_place, &gain, 1e-5);
        assert_eq!(in_place, out);
        for (a, b) in out.iter().zip(reference::rms_norm(&x, &gain, 1e-5)) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }
}
