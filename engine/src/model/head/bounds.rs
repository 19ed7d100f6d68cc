//! Bounds of each row's logit, from the quantized row and two integer products.
//!
//! A row is w = s·q + e, with the quantized weights q and their error e. The input is
//! x = t₁·a₁ + t₂·a₂ + d, with two int8 vectors a₁ and a₂ and the remainder d. Then
//!
//! ```text
//! |w·x - s·(t₁·q·a₁ + t₂·q·a₂)| ≤ ‖s·q‖·‖d‖ + ‖e‖·‖x‖
//! ```
//!
//! The float sum that computes w·x is off by at most γ·‖w‖·‖x‖ (Higham 2002, §3.1).

use tercet_codegen::Packing;
use tercet_codegen::activations::RowMut;

use crate::vectors::dot::LANES;
use crate::vectors::ops;

/// Covers the rounding errors of the bounds themselves, which are about 1e-7.
const SLACK: f64 = 1.0 + 1e-5;

/// One row's part of the bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowBound {
    /// s.
    scale: f32,
    /// An upper bound of ‖w‖ and ‖s·q‖.
    norm: f32,
    /// An upper bound of ‖e‖.
    error: f32,
}

impl RowBound {
    /// Bytes of a bound in a packed file.
    pub(super) const BYTES: usize = 12;

    /// Measures the row `w` and its quantized weights `q`.
    pub(super) fn new(w: &[f32], q: &[i8]) -> Self {
        let scale = scale(w);
        let (product, error) = ops::quantized_norms(q, w, scale);
        let (product, error) = (product.sqrt(), error.sqrt());
        RowBound { scale, norm: ((product + error) * SLACK) as f32, error: (error * SLACK) as f32 }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [a, b, c] = [self.scale, self.norm, self.error].map(f32::to_le_bytes);
        std::array::from_fn(|i| [a, b, c][i / 4][i % 4])
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let float = |i: usize| f32::from_le_bytes(std::array::from_fn(|j| bytes[4 * i + j]));
        RowBound { scale: float(0), norm: float(1), error: float(2) }
    }
}

/// Returns the value of one step of the quantized weights.
fn scale(w: &[f32]) -> f32 {
    ops::largest(w) / f32::from(*Packing::Bytes.weights().end())
}

pub(super) fn quantize_row(w: &[f32], q: &mut [i8]) {
    let scale = scale(w);
    if scale > 0.0 {
        ops::quantize_weights(q, w, scale);
    }
}

/// The factors and norms of an input, which is split into two int8 vectors.
#[derive(Debug)]
pub(super) struct Input {
    /// t₁ and t₂.
    scales: [f64; 2],
    /// An upper bound of ‖d‖.
    rest: f64,
    /// An upper bound of ‖x‖.
    norm: f64,
    /// γ.
    rounding: f64,
}

impl Input {
    /// Splits `x` and writes the two vectors to `vectors`.
    pub(super) fn new<'a>(
        x: &[f32],
        vectors: impl Iterator<Item = RowMut<'a>>,
        rest: &mut Vec<f64>,
        rounded: &mut Vec<f32>,
    ) -> Self {
        let mut scales = [0.0; 2];
        rest.clear();
        rest.extend(x.iter().map(|&x| f64::from(x)));
        let norm = norm(rest);
        for (mut row, scale) in vectors.zip(&mut scales) {
            row.set(|a| {
                rounded.clear();
                rounded.extend(rest.iter().map(|&rest| rest as f32));
                let step = ops::quantize(a, rounded);
                *scale = f64::from(step);
                rest.iter_mut().zip(&*a).for_each(|(rest, &a)| *rest -= *scale * f64::from(a));
                step
            });
        }
        // Roundings of one lane's fused multiply-adds, then of the additions of lanes.
        let roundings = (x.len() / LANES + 8) as f64;
        Input { scales, rest: self::norm(rest), norm, rounding: roundings * f64::from(f32::EPSILON) }
    }

    /// Returns the bounds of a row's logit from its two integer sums.
    pub(super) fn bounds(&self, row: &RowBound, first: i32, second: i32) -> (f32, f32) {
        let [coarse, fine] = self.scales;
        let middle = f64::from(row.scale) * (coarse * f64::from(first) + fine * f64::from(second));
        let norm = f64::from(row.norm);
        let error = norm * self.rest + f64::from(row.error) * self.norm + self.rounding * norm * self.norm;
        let error = error * SLACK + middle.abs() * f64::from(f32::EPSILON);
        ((middle - error) as f32, (middle + error) as f32)
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt() * SLACK
}
