//! What random weights have in common with trained ones, as far as it decides the work on a token.
//!
//! - Every 16th channel of the residual stream is constant, because all tokens share the embedding's value there. The rows of
//!   `gate` lean to one sign in these channels, so that few gates are positive. The number of zeros stays the same.
//! - One row of the head in 64 is longer than the others, so that the best logit stands out.
//!
//! The constant channels say nothing about the next token, so the last norm leaves them out.

use tercet_kernels_ref::random::SplitMix;

/// The distance between two constant channels.
const STRIDE: usize = 16;

/// The constant, in standard deviations of an embedding's other elements.
const CONSTANT: f64 = 2.0;

/// The variance that all layers together add to the residual stream, as a multiple of an embedding's variance.
const GROWTH: f64 = 1.0;

/// The variance of a ternary weight.
const VARIANCE: f64 = 2.0 / 3.0;

/// The distance between two long rows of the head.
const LONG: usize = 64;

/// Returns the constant channels of a residual stream of `width` channels.
pub(super) fn constant_channels(width: usize) -> impl Iterator<Item = usize> {
    (0..width).step_by(STRIDE)
}

/// Returns an embedding's element in the constant channels, if its other elements are uniform over a range of `width`.
pub(super) fn constant(width: f32) -> f32 {
    CONSTANT as f32 * deviation(width)
}

/// Returns the scale of a matrix with k columns that adds to the residual stream, if embeddings are uniform over a range of
/// `width`. The model has this number of layers, with two such matrices each.
pub(super) fn added_scale(width: f32, k: usize, layers: usize) -> f32 {
    let factor = (GROWTH / (2.0 * VARIANCE * (layers * k) as f64)).sqrt();
    factor as f32 * deviation(width)
}

/// Returns the gain of the last norm in `channel`. Signs alternate, because a head that is the embedding would otherwise
/// always choose the token that it has just read.
pub(super) fn last_gain(channel: usize) -> f32 {
    match channel {
        _ if channel.is_multiple_of(STRIDE) => 0.0,
        _ if channel.is_multiple_of(2) => 1.0,
        _ => -1.0,
    }
}

/// Turns trits of the constant channels to the other sign, so that the share `density` of the gates is positive. The rows of
/// `trits` have k elements.
pub(super) fn lean(trits: &mut [i8], k: usize, density: f64, seed: u64) {
    // A sum over the normed input has the deviation √(k · VARIANCE), and each turned trit moves it by twice the constant.
    let shift = quantile(density);
    let constants = k.div_ceil(STRIDE) as f64;
    let turned = shift.abs() * (k as f64 * VARIANCE).sqrt() / (2.0 * normed_constant() * constants / 3.0);
    let threshold = (turned * 65_536.0).round() as u64;
    let from = if shift < 0.0 { 1 } else { -1 };
    let mut random = SplitMix(!(seed << 32));
    for row in trits.chunks_exact_mut(k) {
        for trit in row.iter_mut().step_by(STRIDE).filter(|trit| **trit == from) {
            if random.next_u64() >> 48 < threshold {
                *trit = -from;
            }
        }
    }
}

/// Returns the factor of a row of the head, so that the best of `rows` logits is `peak` deviations above their mean.
pub(super) fn length(row: usize, rows: usize, peak: f64) -> f32 {
    if !row.is_multiple_of(LONG) {
        return 1.0;
    }
    // The best of the long rows is `best` of their deviations above the mean. The deviation of all rows grows with them.
    let (share, long) = (1.0 / LONG as f64, rows as f64 / LONG as f64);
    let best = quantile(1.0 - 0.56 / long);
    let square = peak * peak * (1.0 - share) / (best * best - peak * peak * share);
    // A coarse step, so that every machine's arithmetic gives the same.
    ((64.0 * square.max(1.0).sqrt()).round() / 64.0) as f32
}

/// Returns the constant in a normed residual stream, in the middle of the model.
fn normed_constant() -> f64 {
    let share = 1.0 / STRIDE as f64;
    CONSTANT / (1.0 - share + share * CONSTANT * CONSTANT + GROWTH / 2.0).sqrt()
}

/// Returns the deviation of numbers that are uniform over a range of `width`.
fn deviation(width: f32) -> f32 {
    width / 12f32.sqrt()
}

/// Returns the value that normally distributed numbers stay below with probability `p` (Tukey's approximation, to 0.1).
fn quantile(p: f64) -> f64 {
    4.91 * (p.powf(0.14) - (1.0 - p).powf(0.14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (p, expected) in [(0.37, -0.3319), (0.5, 0.0), (0.99, 2.3263), (0.999_5, 3.2905)] {
            assert!((quantile(p) - expected).abs() < 0.1, "{p}: {}", quantile(p));
        }
    }

    #[test]
    fn leaning_keeps_the_zeros() {
        let trits = super::super::random_trits(64 * 256, 3);
        let mut leaning = trits.clone();
        lean(&mut leaning, 256, 0.3, 3);
        assert_ne!(leaning, trits);
        assert!(leaning.iter().zip(&trits).all(|(a, b)| a.abs() == b.abs()));
    }
}
