//! The floating-point steps of a BitNet transformer, in `f32`, in plain sequential loops.
//!
//! The formulas are those of Hugging Face transformers' BitNet model. The order of summation is this
//! crate's own, and `exp`, `sin` and `cos` come from the platform. So compare with other
//! implementations within a tolerance.

use std::f32::consts::PI;

/// Computes the root-mean-square norm: `x / sqrt(mean(x²) + eps) · weight`.
///
/// # Panics
/// Panics if `x` and `weight` differ in length.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    assert_eq!(x.len(), weight.len(), "x and weight have the same length");
    let mean_square = dot(x, x) / x.len() as f32;
    let rstd = 1.0 / (mean_square + eps).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * rstd * w).collect()
}

/// Returns the frequencies of a rotary embedding: `base^(-2i/head_dim)` for pair `i`.
pub fn rope_frequencies(head_dim: usize, base: f32) -> Vec<f32> {
    (0..head_dim / 2).map(|i| 1.0 / base.powf((2 * i) as f32 / head_dim as f32)).collect()
}

/// Applies the rotary position embedding to every head of one token, in place.
///
/// `heads` is `heads × head_dim`, and there are `head_dim / 2` frequencies. The convention is
/// rotate-half: the values `i` and `i + head_dim/2` of a head form a pair. The pair is rotated by the
/// angle `position · frequencies[i]` and multiplied by `factor`.
///
/// # Panics
/// Panics if there are no frequencies, or if `heads` is not a whole number of heads.
pub fn rope(heads: &mut [f32], position: usize, frequencies: &[f32], factor: f32) {
    let half = frequencies.len();
    assert!(half > 0 && heads.len().is_multiple_of(2 * half), "heads is a whole number of heads");
    for head in heads.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        for ((a, b), frequency) in first.iter_mut().zip(second).zip(frequencies) {
            let (sin, cos) = (position as f32 * frequency).sin_cos();
            (*a, *b) = ((*a * cos - *b * sin) * factor, (*b * cos + *a * sin) * factor);
        }
    }
}

/// Computes grouped-query attention of one token over the positions that it may see.
///
/// The token itself is one of these positions. `query` is `heads × head_dim`. `keys` and `values` are
/// `positions × kv_heads × head_dim`. The result has the shape of `query`. Each run of
/// `heads / kv_heads` query heads shares one key-value head.
///
/// # Panics
/// Panics if a shape does not divide evenly, or if `keys` and `values` differ in length.
pub fn attention(query: &[f32], keys: &[f32], values: &[f32], heads: usize, kv_heads: usize) -> Vec<f32> {
    assert!(heads.is_multiple_of(kv_heads) && query.len().is_multiple_of(heads), "heads divide evenly");
    let head_dim = query.len() / heads;
    let stride = kv_heads * head_dim;
    assert!(
        keys.len() == values.len() && keys.len().is_multiple_of(stride),
        "keys and values have whole positions"
    );

    let mut out = vec![0.0; query.len()];
    for head in 0..heads {
        let query = &query[head * head_dim..][..head_dim];
        let kv_offset = head / (heads / kv_heads) * head_dim;
        let scores = keys.chunks_exact(stride).map(|position| {
            let key = &position[kv_offset..][..head_dim];
            dot(query, key) / (head_dim as f32).sqrt()
        });
        let weights = softmax(&scores.collect::<Vec<_>>());
        let out = &mut out[head * head_dim..][..head_dim];
        for (weight, position) in weights.iter().zip(values.chunks_exact(stride)) {
            for (out, value) in out.iter_mut().zip(&position[kv_offset..]) {
                *out += weight * value;
            }
        }
    }
    out
}

/// Returns `exp(x) / Σ exp(x)`, computed from `x - max(x)` so that nothing overflows.
pub fn softmax(x: &[f32]) -> Vec<f32> {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f32> = x.iter().map(|x| (x - max).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.iter().map(|e| e / sum).collect()
}

/// Computes the squared-ReLU gate of the feed-forward block: `relu(gate)² · up`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn relu2_gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    assert_eq!(gate.len(), up.len(), "gate and up have the same length");
    gate.iter().zip(up).map(|(gate, up)| gate.max(0.0).powi(2) * up).collect()
}

/// Computes the SiLU gate of the feed-forward block: `gate / (1 + e^-gate) · up`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn silu_gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    assert_eq!(gate.len(), up.len(), "gate and up have the same length");
    gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect()
}

/// Computes the GELU gate of the feed-forward block, with tanh for the error function (Hendrycks and Gimpel 2016):
/// `gate / 2 · (1 + tanh(√(2/π) · (gate + 0.044715 · gate³))) · up`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn gelu_gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    assert_eq!(gate.len(), up.len(), "gate and up have the same length");
    let gelu = |x: f32| x / 2.0 * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh());
    gate.iter().zip(up).map(|(gate, up)| gelu(*gate) * up).collect()
}

/// Computes the logits of one token with a tied output head.
///
/// The logits are `embedding`, which is `vocabulary × hidden.len()`, times `hidden`.
///
/// # Panics
/// Panics if `embedding` is not a whole number of rows.
pub fn logits(hidden: &[f32], embedding: &[f32]) -> Vec<f32> {
    assert!(embedding.len().is_multiple_of(hidden.len()), "embedding is a whole number of rows");
    embedding.chunks_exact(hidden.len()).map(|row| dot(hidden, row)).collect()
}

/// Converts a bfloat16, which is the upper half of an `f32`.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(actual: &[f32], expected: &[f32]) {
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() < 1e-6, "{actual:?} is not {expected:?}");
        }
    }

    #[test]
    fn rms_norm_by_hand() {
        assert_close(&rms_norm(&[3.0, -4.0], &[1.0, 2.0], 0.0), &[0.848_528_1, -2.262_741_7]);
        assert_close(&rms_norm(&[1.0, -1.0], &[1.0, 1.0], 3.0), &[0.5, -0.5]);
        assert_close(&rms_norm(&[0.0, 0.0], &[1.0, 1.0], 1e-5), &[0.0, 0.0]);
    }

    #[test]
    fn rope_turns_halves_of_every_head() {
        let mut heads = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0];
        rope(&mut heads, 1, &rope_frequencies(4, 10_000.0), 1.0);
        let turned = [-1.984_110_7, 1.959_900_7, 2.462_378, 4.019_799_7];
        assert_close(&heads, &[turned, turned].concat());
    }

    #[test]
    fn rope_only_scales_position_zero() {
        let mut head = [1.0, 2.0, 3.0, 4.0];
        rope(&mut head, 0, &rope_frequencies(4, 500_000.0), 2.0);
        assert_eq!(head, [2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn attention_weighs_by_scaled_scores() {
        let query = [2.0, 0.0, 0.0, 0.0];
        let keys = [0.0, 9.0, 9.0, 9.0, 3.0_f32.ln(), 9.0, 9.0, 9.0];
        let values = [4.0, 0.0, 1.0, -4.0, 8.0, 0.0, 1.0, 4.0];
        assert_close(&attention(&query, &keys, &values, 1, 1), &[7.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn attention_shares_key_value_heads_by_runs() {
        let values = [1.0, 10.0, 3.0, 30.0];
        assert_close(&attention(&[0.0; 4], &[5.0; 4], &values, 4, 2), &[2.0, 2.0, 20.0, 20.0]);
    }

    #[test]
    fn softmax_survives_large_scores() {
        assert_close(&softmax(&[1000.0, 1000.0, -1000.0]), &[0.5, 0.5, 0.0]);
    }

    #[test]
    fn relu2_gate_closes_below_zero() {
        assert_eq!(relu2_gate(&[3.0, -3.0, 0.5], &[-2.0, 5.0, 4.0]), [-18.0, 0.0, 1.0]);
    }

    #[test]
    fn silu_gate_by_hand() {
        assert_close(&silu_gate(&[0.0, 1.0, -2.0], &[5.0, 2.0, 1.0]), &[0.0, 1.462_117_2, -0.238_405_84]);
    }

    #[test]
    fn gelu_gate_by_hand() {
        assert_close(&gelu_gate(&[0.0, 1.0, -2.0], &[5.0, 2.0, 1.0]), &[0.0, 1.682_384, -0.045_402_3]);
    }

    #[test]
    fn logits_are_one_dot_per_token() {
        assert_eq!(logits(&[1.0, -2.0], &[3.0, 1.0, 0.5, 0.5, 0.0, 4.0]), [1.0, -0.5, -8.0]);
    }

    #[test]
    fn bf16_by_hand() {
        assert_eq!([0x3f80, 0xc020, 0x0000].map(bf16_to_f32), [1.0, -2.5, 0.0]);
    }
}
