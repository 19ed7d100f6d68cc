//! Bounds of each row's logit, from the quantized row and its integer products.
//!
//! A row is w = s·(9·h + 3·t + u) + e, with four-bit weights h, trits t and u, and their error e. The input is
//! x = t₁·a₁ + d₁ = t₁·a₁ + t₂·a₂ + d₂, with two int8 vectors a₁ and a₂ and the remainders d₁ and d₂. The high plane is
//! multiplied with both vectors, the low planes with the first one. With l low planes, whose weights are s·v,
//!
//! ```text
//! |w·x - 9·s·(t₁·h·a₁ + t₂·h·a₂) - s·t₁·v·a₁| ≤ ‖9·s·h‖·‖d₂‖ + ‖s·v‖·‖d₁‖ + ‖w - 9·s·h - s·v‖·‖x‖
//! ```
//!
//! The float sum that computes w·x is off by at most γ·‖w‖·‖x‖ (Higham 2002, §3.1).

use tercet_codegen::activations::RowMut;

use super::rows::{RowBounds, STEPS};
use crate::vectors::dot::LANES;
use crate::vectors::estimate::{Estimate, Intervals, SLACK, estimate, narrow};
use crate::vectors::ops;

/// The factors and norms of an input, which is split into two int8 vectors.
#[derive(Debug)]
pub(super) struct Input {
    /// t₁ and t₂.
    scales: [f64; 2],
    /// Upper bounds of ‖d₁‖ and ‖d₂‖.
    rests: [f64; 2],
    /// An upper bound of ‖x‖.
    norm: f64,
    /// γ.
    rounding: f64,
}

impl Input {
    /// Splits `x` and writes the two vectors to `vectors`, and the first of them to `first` too.
    pub(super) fn new<'a>(
        x: &[f32],
        vectors: impl Iterator<Item = RowMut<'a>>,
        first: &mut RowMut<'_>,
        rest: &mut Vec<f64>,
        rounded: &mut Vec<f32>,
    ) -> Self {
        let (mut scales, mut rests) = ([0.0; 2], [0.0; 2]);
        rest.clear();
        rest.extend(x.iter().map(|&x| f64::from(x)));
        let norm = norm(rest);
        for (i, mut row) in vectors.enumerate().take(2) {
            row.set(|a| {
                rounded.clear();
                rounded.extend(rest.iter().map(|&rest| rest as f32));
                let step = ops::quantize(a, rounded);
                scales[i] = f64::from(step);
                rest.iter_mut().zip(&*a).for_each(|(rest, &a)| *rest -= scales[i] * f64::from(a));
                rests[i] = self::norm(rest);
                if i == 0 {
                    first.set(|first| {
                        first.copy_from_slice(a);
                        step
                    });
                }
                step
            });
        }
        // Roundings of one lane's fused multiply-adds, then of the additions of lanes.
        let roundings = (x.len() / LANES + 8) as f64;
        Input { scales, rests, norm, rounding: roundings * f64::from(f32::EPSILON) }
    }

    /// Estimates the logits of the rows from `first` on, from their products with the high plane.
    pub(super) fn estimate(
        &self,
        rows: &RowBounds,
        first: usize,
        high: [&[i32]; 2],
        estimates: &mut [Estimate],
    ) {
        let factors = self.scales.map(|scale| f64::from(rows.high_step) * scale);
        estimate(self.intervals(rows, first, 0), factors, high, estimates);
    }

    /// Narrows the estimates of the rows from `first` on, by the products with low plane `plane`, the next one.
    pub(super) fn narrow(
        &self,
        rows: &RowBounds,
        first: usize,
        plane: usize,
        low: &[i32],
        estimates: &mut [Estimate],
    ) {
        let factor = f64::from(STEPS[1 + plane]) * self.scales[0];
        narrow(self.intervals(rows, first, 1 + plane), factor, low, estimates);
    }

    /// Returns the intervals of the rows from `first` on, with `planes` low planes.
    fn intervals<'a>(&self, rows: &'a RowBounds, first: usize, planes: usize) -> Intervals<'a> {
        let [of_first, of_both] = self.rests;
        let of_norm = of_both + self.rounding * self.norm;
        // ‖s·v‖ is at most the sum of both errors.
        let factors = match planes {
            0 => [of_norm, self.norm, 0.0],
            _ => [of_norm, of_first, of_first + self.norm],
        };
        let errors = [0, planes].map(|planes| &rows.errors[planes][first..]);
        Intervals { scales: &rows.scales[first..], norms: &rows.norms[first..], errors, factors }
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt() * SLACK
}
