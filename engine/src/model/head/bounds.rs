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

use std::ops::Range;

use multiversion::multiversion;
use tercet_codegen::activations::RowMut;

use super::rows::{RowBounds, STEPS};
use crate::vectors::dot::LANES;
use crate::vectors::ops;

/// Covers the rounding errors of the bounds themselves, which are about 1e-7.
pub(super) const SLACK: f64 = 1.0 + 1e-5;

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

/// What is known of a row's logit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    /// The approximate logit.
    middle: f64,
    /// Bounds of the logit.
    pub(super) lower: f32,
    pub(super) upper: f32,
}

impl Estimate {
    /// A row whose logit need not be looked at, or not again.
    pub(super) const SETTLED: Estimate =
        Estimate { middle: f64::NEG_INFINITY, lower: f32::NEG_INFINITY, upper: f32::NEG_INFINITY };

    /// Returns the approximate logit.
    pub(super) fn middle(&self) -> f32 {
        self.middle as f32
    }
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
        let range = first..first + estimates.len();
        let factors = self.scales.map(|scale| f64::from(rows.high_step) * scale);
        let columns = Columns::new(rows, 0, range, self.weights(0));
        estimate(columns, factors, high, estimates);
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
        let range = first..first + estimates.len();
        let factor = f64::from(STEPS[1 + plane]) * self.scales[0];
        let columns = Columns::new(rows, 1 + plane, range, self.weights(1 + plane));
        narrow(columns, factor, low, estimates);
    }

    /// Returns the factors of a row's norm, its error without low planes, and its error with `planes` low planes. ‖s·v‖ is at
    /// most the sum of both errors.
    fn weights(&self, planes: usize) -> [f64; 3] {
        let [first, both] = self.rests;
        let of_norm = both + self.rounding * self.norm;
        match planes {
            0 => [of_norm, self.norm, 0.0],
            _ => [of_norm, first, first + self.norm],
        }
    }
}

/// Some rows' bounds, with one number of low planes.
#[derive(Clone, Copy)]
struct Columns<'a> {
    scales: &'a [f32],
    norms: &'a [f32],
    /// Without low planes, and with these.
    errors: [&'a [f32]; 2],
    /// The factors of the norm and of both errors.
    weights: [f64; 3],
}

impl<'a> Columns<'a> {
    fn new(rows: &'a RowBounds, planes: usize, range: Range<usize>, weights: [f64; 3]) -> Self {
        Columns {
            scales: &rows.scales[range.clone()],
            norms: &rows.norms[range.clone()],
            errors: [0, planes].map(|planes| &rows.errors[planes][range.clone()]),
            weights,
        }
    }

    /// Returns the estimate of row `i` around `middle`.
    #[inline(always)]
    fn around(&self, i: usize, middle: f64) -> Estimate {
        let [of_norm, of_first, of_error] = self.weights;
        let [first, error] = self.errors.map(|errors| f64::from(errors[i]));
        let error = f64::from(self.norms[i]) * of_norm + first * of_first + error * of_error;
        let error = error * SLACK + middle.abs() * f64::from(f32::EPSILON);
        Estimate { middle, lower: (middle - error) as f32, upper: (middle + error) as f32 }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn estimate(columns: Columns<'_>, factors: [f64; 2], high: [&[i32]; 2], estimates: &mut [Estimate]) {
    let [first, second] = high.map(|sums| &sums[..estimates.len()]);
    for (i, estimate) in estimates.iter_mut().enumerate() {
        let sum = factors[0] * f64::from(first[i]) + factors[1] * f64::from(second[i]);
        *estimate = columns.around(i, f64::from(columns.scales[i]) * sum);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn narrow(columns: Columns<'_>, factor: f64, low: &[i32], estimates: &mut [Estimate]) {
    let low = &low[..estimates.len()];
    for (i, estimate) in estimates.iter_mut().enumerate() {
        let middle = estimate.middle + f64::from(columns.scales[i]) * factor * f64::from(low[i]);
        let narrow = columns.around(i, middle);
        estimate.middle = middle;
        estimate.lower = estimate.lower.max(narrow.lower);
        estimate.upper = estimate.upper.min(narrow.upper);
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt() * SLACK
}
