//! A model's zeros and logits on a text: what decides how much of it a token needs.

use super::Windows;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::model::{Model, Zeros};

/// A model's behaviour on a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextProfile {
    /// The tokens that were predicted.
    pub tokens: usize,
    /// The zeros in each layer's feed-forward block.
    pub layers: Vec<Zeros>,
    /// The mean over the tokens.
    pub logits: Spread,
}

/// The spread of a token's logits over the vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Their standard deviation, in nats.
    pub deviation: f64,
    /// The distance of the largest one from the mean, in standard deviations.
    pub best: f64,
}

impl Windows {
    /// Measures the zeros and the logits of `model` on a text, in the windows that [`Windows::predict`] predicts.
    ///
    /// # Errors
    /// Those of [`Windows::predict`].
    pub fn profile(
        &self,
        model: &Model,
        ids: &[u32],
        cancel: &Cancel,
        progress: impl FnMut(usize),
    ) -> Result<TextProfile> {
        let (spreads, work) = model.counting(|| {
            self.walk(model, ids, cancel, progress, |mut part, _| {
                model.forward_parts(std::slice::from_mut(&mut part), |_, logits| Spread::of(logits))
            })
        });
        let (spreads, layers) = (spreads?, work.layers);
        let mean = |of: fn(&Spread) -> f64| spreads.iter().map(of).sum::<f64>() / spreads.len() as f64;
        let logits = Spread { deviation: mean(|spread| spread.deviation), best: mean(|spread| spread.best) };
        Ok(TextProfile { tokens: spreads.len(), layers, logits })
    }
}

impl Spread {
    /// Returns the spread of one token's logits.
    pub(crate) fn of(logits: &[f32]) -> Self {
        let count = logits.len() as f64;
        let mean = logits.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let square = |x: &f32| (f64::from(*x) - mean).powi(2);
        let deviation = (logits.iter().map(square).sum::<f64>() / count).sqrt();
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let best = if deviation > 0.0 { (f64::from(largest) - mean) / deviation } else { 0.0 };
        Spread { deviation, best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_measured_in_deviations() {
        let spread = Spread::of(&[1.0, 1.0, 1.0, 5.0]);
        assert!((spread.deviation - 3f64.sqrt()).abs() < 1e-12 && (spread.best - 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[2.0; 5]), Spread::default());
    }
}
