//! Exact products of ternary weights and 8-bit activations, in 32-bit integers.

/// Multiplies weights by activations: `out[token][row] = Σ weights[row][i] · acts[token][i]`.
///
/// This is a GEMM, or a GEMV if `m` is 1. `weights` is `n × k` and holds -1, 0 and 1. `acts` is
/// `m × k`. The result is `m × n`, token-major. It is exact for every `k` below 2²⁴.
///
/// # Panics
/// Panics if the length of a slice is not the product of its two dimensions.
///
/// ```
/// use tercet_kernels_ref::gemm::gemm;
///
/// let weights = [1, 0, -1, /* second row */ -1, -1, 1];
/// let acts = [5, 7, -128, /* second token */ 127, -3, 2];
/// assert_eq!(gemm(&weights, &acts, 2, 3, 2), [133, -140, 125, -122]);
/// ```
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

/// Returns `Σ weights[i] · acts[i]`, over the length of the shorter slice.
pub fn dot(weights: &[i8], acts: &[i8]) -> i32 {
    weights.iter().zip(acts).map(|(&w, &a)| i32::from(i16::from(w) * i16::from(a))).sum()
}

/// Rounds an exact sum to `f32` and multiplies it by `factor`, the product of both scales.
///
/// This is the epilogue of every kernel.
///
/// ```
/// use tercet_kernels_ref::gemm::scaled;
///
/// assert_eq!(scaled(-6, 0.25), -1.5);
/// // 2²⁴ + 1 is no f32. It becomes 2²⁴ before the multiplication.
/// assert_eq!(scaled((1 << 24) + 1, 0.5), 8_388_608.0);
/// ```
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
