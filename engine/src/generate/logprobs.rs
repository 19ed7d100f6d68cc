//! Probabilities of chosen tokens and of their alternatives.

/// The natural logarithm of a token's probability. It is by the model's logits alone, before penalties, temperature and cuts,
/// unless [`Request::logprobs_as_drawn`](crate::Request::logprobs_as_drawn) asks for more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Logprob {
    /// The token.
    pub token: u32,
    /// ln p.
    pub logprob: f64,
}

/// The probability of a chosen token, and those of the most probable tokens at its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenLogprobs {
    /// The chosen token.
    pub chosen: Logprob,
    /// The most probable tokens, the best first. Of equals the lowest token is the better.
    pub best: Vec<Logprob>,
}

impl TokenLogprobs {
    /// Returns the probabilities of `chosen` and of the `count` best tokens, by the logits of the vocabulary. The bits
    /// are the same on every machine.
    pub(crate) fn new(chosen: u32, logits: &[f32], count: usize) -> Self {
        let total = log_sum(logits);
        let logprob = |token: u32| Logprob { token, logprob: f64::from(logits[token as usize]) - total };
        let better = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let mut tokens: Vec<u32> =
            (0..logits.len() as u32).filter(|&t| !logits[t as usize].is_nan()).collect();
        let count = count.min(tokens.len());
        if count > 0 && count < tokens.len() {
            tokens.select_nth_unstable_by(count - 1, better);
        }
        tokens.truncate(count);
        tokens.sort_unstable_by(better);
        TokenLogprobs { chosen: logprob(chosen), best: tokens.into_iter().map(logprob).collect() }
    }
}

/// Returns ln Σ exp of the logits. NaN is left out. The bits are the same on every machine.
pub(crate) fn log_sum(logits: &[f32]) -> f64 {
    let numbers = || logits.iter().copied().filter(|logit| !logit.is_nan());
    let largest = f64::from(numbers().fold(f32::NEG_INFINITY, f32::max));
    largest + libm::log(numbers().map(|logit| libm::exp(f64::from(logit) - largest)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_agree_with_sums_by_hand() {
        let logits = [1000.0, 1000.0 + 3f32.ln(), f32::NEG_INFINITY, f32::NAN];
        let TokenLogprobs { chosen, best } = TokenLogprobs::new(0, &logits, 2);
        assert_eq!((chosen.token, best[0].token, best[1].token), (0, 1, 0));
        assert!((chosen.logprob - 0.25f64.ln()).abs() < 1e-4);
        assert!((best[0].logprob - 0.75f64.ln()).abs() < 1e-4);
    }

    #[test]
    fn there_may_be_more_or_fewer_alternatives_than_tokens() {
        assert_eq!(TokenLogprobs::new(1, &[0.0, 0.0], 0).best, []);
        let best = TokenLogprobs::new(1, &[0.0, 0.0], 9).best;
        assert_eq!(best.iter().map(|best| best.token).collect::<Vec<_>>(), [0, 1]);
    }
}
