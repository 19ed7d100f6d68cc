//! Absmax quantization of activations, in `f32`, with one scale per token.
//!
//! The formula is that of the [BitNet b1.58 paper](https://arxiv.org/abs/2402.17764) and of Hugging
//! Face transformers' BitNet integration.

/// Quantizes the activations of one token to 8 bits.
///
/// The scale is `s = 127 / max(max|x|, 1e-5)`, and each value becomes
/// `q = clamp(round(x · s), -128, 127)`. Halves round to even. Returns `q` and `s`, so that
/// `x ≈ q / s`. `x` must be finite.
///
/// ```
/// use tercet_kernels_ref::quantize::absmax;
///
/// // The largest magnitude becomes ±127.
/// assert_eq!(absmax(&[-0.25, 0.125]), (vec![-127, 64], 508.0));
/// ```
pub fn absmax(x: &[f32]) -> (Vec<i8>, f32) {
    let mut q = vec![0; x.len()];
    let scale = absmax_into(x, &mut q);
    (q, scale)
}

/// Quantizes like [`absmax`] into a slice of the caller, and returns the scale.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn absmax_into(x: &[f32], q: &mut [i8]) -> f32 {
    assert_eq!(x.len(), q.len(), "x and q have the same length");
    let absmax = x.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let scale = 127.0 / absmax.max(1e-5);
    for (q, x) in q.iter_mut().zip(x) {
        *q = (x * scale).round_ties_even().clamp(-128.0, 127.0) as i8;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even() {
        let (q, scale) = absmax(&[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 125.5]);
        assert_eq!(scale, 1.0);
        assert_eq!(q, [127, 0, 2, 2, 0, -2, -2, 126]);
    }

    #[test]
    fn the_largest_magnitude_becomes_127_whatever_its_sign() {
        assert_eq!(absmax(&[-0.25, 0.125]), (vec![-127, 64], 508.0));
        assert_eq!(absmax(&[3.0e38, -3.0e38]).0, [127, -127]);
    }

    #[test]
    fn tiny_tokens_are_scaled_as_if_their_absmax_were_1e_5() {
        assert_eq!(absmax(&[0.0, -0.0]), (vec![0, 0], 1.27e7));
        assert_eq!(absmax(&[1e-6, -2e-7]), (vec![13, -3], 1.27e7));
        assert_eq!(absmax(&[]), (vec![], 1.27e7));
    }
}
