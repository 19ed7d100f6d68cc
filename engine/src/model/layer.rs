//! One ternary layer, for programs with a model of their own.

use std::sync::{Mutex, PoisonError};

use tercet_pool::Pool;

use super::input::{Input, Rounded};
use super::linear::{Linear, PLANNED_TOKENS, planned_for};
use super::packer::Packer;
use crate::error::{Error, Result};
use crate::pool::{self, Team};
use crate::runtime::Runtime;
use tercet_formats::{Scales, Ternary};

/// y = W x for a ternary matrix W, with the kernels and rounding of a model's layers.
///
/// In the fast mode the input is rounded to int8, so products are close to exact ones, not equal.
///
/// ```
/// use tercet_engine::{Runtime, RuntimeOptions, TernaryLinear};
/// use tercet_formats::{Scales, Ternary};
///
/// let runtime = Runtime::new(&RuntimeOptions { threads: Some(1), ..RuntimeOptions::default() });
/// // Two rows of four weights, with one scale for all.
/// let trits = vec![1, -1, 0, 1, 0, 0, 1, 1];
/// let weights = Ternary { trits, scales: Scales::Tensor(0.5) };
/// let layer = TernaryLinear::new(&runtime, (2, 4), weights)?;
///
/// let y = layer.forward(&[1.0, 2.0, 3.0, 4.0]);
/// assert!((y[0] - 0.5 * (1.0 - 2.0 + 4.0)).abs() < 0.05);
/// assert!((y[1] - 0.5 * (3.0 + 4.0)).abs() < 0.05);
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct TernaryLinear {
    linear: Linear,
    k: usize,
    /// The pool for each of [`PLANNED_TOKENS`].
    pools: [Pool; PLANNED_TOKENS.len()],
    rounded: Mutex<Rounded>,
}

impl TernaryLinear {
    /// Returns the layer with n × k weights, with the options of `runtime`.
    ///
    /// # Errors
    /// Fails if the number of weights or scales does not fit the shape, a weight is not -1, 0 or 1, or a
    /// kernel cannot be made.
    pub fn new(runtime: &Runtime, (n, k): (usize, usize), weights: Ternary) -> Result<Self> {
        let bad = |problem: String, remedy: &str| Err(Error::bad_argument("the weights", problem, remedy));
        if n == 0 || k == 0 || n.checked_mul(k) != Some(weights.trits.len()) {
            return bad(format!("there are {} for {n} × {k}", weights.trits.len()), "give a matrix");
        }
        if let Some(weight) = weights.trits.iter().find(|weight| !(-1..=1).contains(*weight)) {
            return bad(format!("{weight} is not ternary"), "use -1, 0 and 1");
        }
        if let Scales::Groups { size, values } = &weights.scales
            && (*size == 0 || n.checked_mul(k.div_ceil(*size)) != Some(values.len()))
        {
            let problem = format!("there are {} scales for {n} rows in groups of {size}", values.len());
            return bad(problem, "give one for each group of each row");
        }
        let (packer, pool) = (Packer::new(runtime), pool::start(runtime.threads())?);
        let linear = packer.linear((n, k), weights, None)?;
        let pools = packer.into_kernels().threads(pool.threads()).map(|threads| pool.first(threads));
        let rounded = Mutex::new(Rounded::new(0, k));
        Ok(TernaryLinear { linear, k, pools, rounded })
    }

    /// Returns the number of output features.
    pub fn n(&self) -> usize {
        self.linear.n()
    }

    /// Returns the number of input features.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Returns the bytes of the weights in memory.
    pub fn bytes(&self) -> usize {
        self.linear.bytes()
    }

    /// Multiplies each row of `x`, k wide, and returns the products as rows n wide.
    ///
    /// # Panics
    /// If the length of `x` is not a multiple of k.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        assert!(x.len().is_multiple_of(self.k), "the input's length is not a multiple of {}", self.k);
        let mut rounded = self.rounded.lock().unwrap_or_else(PoisonError::into_inner);
        rounded.reserve(x.len());
        let mut out = vec![0.0; x.len() / self.k * self.n()];
        if !x.is_empty() {
            let team = Team::new(&self.pools[planned_for(x.len() / self.k)]);
            Input::new(team, x, self.k, None, &mut rounded).multiply([(&self.linear, &mut out)]);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{ActivationType, Mode, RuntimeOptions};

    #[test]
    fn products_are_close_to_plain_arithmetic() {
        let (n, k) = (50, 70);
        let trits = crate::model::random_trits(n * k, 5);
        let x: Vec<f32> = (0..3 * k).map(|i| (i as f32 * 0.3).sin()).collect();
        for mode in [Mode::Fast, Mode::Exact(ActivationType::F32)] {
            let runtime = Runtime::new(&RuntimeOptions { mode, threads: Some(2), ..Default::default() });
            let weights = Ternary { trits: trits.clone(), scales: Scales::Tensor(0.5) };
            let layer = TernaryLinear::new(&runtime, (n, k), weights).unwrap();
            let out = layer.forward(&x);
            for (i, y) in out.iter().enumerate() {
                let (x, trits) = (&x[i / n * k..][..k], &trits[i % n * k..][..k]);
                let expected: f32 = x.iter().zip(trits).map(|(x, &trit)| 0.5 * x * f32::from(trit)).sum();
                let bound = if mode == Mode::Fast { 0.1 } else { 1e-4 };
                assert!((y - expected).abs() < bound, "{mode:?}: {y} {expected}");
            }
            assert_eq!(layer.forward(&x[k..2 * k]), out[n..2 * n]);
            assert!(layer.forward(&[]).is_empty());
        }
    }

    #[test]
    fn wrong_shapes_and_weights_are_refused() {
        let runtime = Runtime::new(&RuntimeOptions { threads: Some(1), ..Default::default() });
        let refused = |shape, trits: Vec<i8>, scales| {
            TernaryLinear::new(&runtime, shape, Ternary { trits, scales }).unwrap_err().to_string()
        };
        assert!(refused((2, 3), vec![0; 5], Scales::Tensor(1.0)).contains("there are 5 for 2 × 3"));
        assert!(refused((0, 3), vec![], Scales::Tensor(1.0)).contains("the weights"));
        assert!(refused((1, 2), vec![0, 2], Scales::Tensor(1.0)).contains("2 is not ternary"));
        let groups = Scales::Groups { size: 2, values: vec![1.0] };
        assert!(refused((1, 3), vec![0; 3], groups).contains("1 scales"));
    }
}
