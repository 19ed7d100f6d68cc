//! Multiplication of ternary weights by 8-bit activations, exact in 32-bit integers.

/// `out[token][row] = Σ weights[row][i] · acts[token][i]`: a GEMM, or a GEMV when `m` is 1.
///
/// `weights` is `n × k` of -1, 0, 1; `acts` is `m × k`; the result is `m × n`, token-major.
/// Exact for every `k` below 2²⁴.
///
/// # Panics
/// If a slice's length is not the product of its two dimensions.
pub fn gemm(weights: &[i8], acts: &[i8], n: usize, k: usize, m: usize) -> Vec<i32> {
    assert_eq!(weights.len(), n * k, "weights are n × k");
    assert_eq!(acts.len(), m * k, "activations are m × k");
    let mut out = Vec::with_capacity(m * n);
    for token in 0..m {
        for row in 0..n {
            out.push(dot(&weights[row * k..][..k], &acts[token * k..][..k]));
        }
    }
    out
}

/// `Σ weights[i] · acts[i]` over the shorter of the two slices.
pub fn dot(weights: &[i8], acts: &[i8]) -> i32 {
    weights.iter().zip(acts).map(|(&w, &a)| i32::from(i16::from(w) * i16::from(a))).sum()
}

/// The one epilogue: an exact sum, rounded to `f32`, times the product of weight and activation scales.
pub fn scaled(acc: i32, factor: f32) -> f32 {
    acc as f32 * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gemm_by_hand() {
        let weights = [1, 0, -1, -1, -1, 1];
        let acts = [5, 7, -128, 127, -3, 2];
        assert_eq!(gemm(&weights, &acts, 2, 3, 2), [133, -140, 125, -122]);
    }

    #[test]
    fn the_largest_sums_are_exact() {
        let k = 1 << 16;
        assert_eq!(gemm(&vec![-1; k], &vec![-128; k], 1, k, 1), [128 << 16]);
        assert_eq!(gemm(&vec![1; k], &vec![-128; k], 1, k, 1), [-(128 << 16)]);
    }

    #[test]
    fn empty_dimensions_are_legal() {
        assert_eq!(gemm(&[], &[], 2, 0, 1), [0, 0]);
        assert!(gemm(&[], &[1, 2], 0, 2, 1).is_empty());
    }

    #[test]
    #[should_panic(expected = "n × k")]
    fn lengths_are_checked() {
        gemm(&[1, 0, 1], &[1, 2], 2, 2, 1);
    }

    #[test]
    fn scaled_rounds_the_sum_first() {
        assert_eq!(scaled(-6, 0.25), -1.5);
        assert_eq!(scaled((1 << 24) + 1, 0.5), 8_388_608.0);
    }
}
