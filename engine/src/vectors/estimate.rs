//! Estimates of dot products whose rows were quantized, in double precision.

use multiversion::multiversion;

/// Covers the rounding errors of the bounds themselves, which are about 1e-7.
pub(crate) const SLACK: f64 = 1.0 + 1e-5;

/// An approximate logit and its bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Estimate {
    middle: f64,
    pub(crate) lower: f32,
    pub(crate) upper: f32,
}

impl Estimate {
    /// A row whose logit need not be looked at, or not again.
    pub(crate) const SETTLED: Estimate =
        Estimate { middle: f64::NEG_INFINITY, lower: f32::NEG_INFINITY, upper: f32::NEG_INFINITY };

    /// Returns the approximate logit.
    pub(crate) fn middle(&self) -> f32 {
        self.middle as f32
    }
}

/// The numbers of some rows that give the widths of their bounds. Each list has an element for each row, or more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals<'a> {
    /// The value of one step of the quantized weights.
    pub(crate) scales: &'a [f32],
    /// The norm of the row.
    pub(crate) norms: &'a [f32],
    /// The norms of two errors: of the coarsest quantization, and of this one.
    pub(crate) errors: [&'a [f32]; 2],
    /// The factors of the norm and of both errors.
    pub(crate) factors: [f64; 3],
}

impl<'a> Intervals<'a> {
    /// Cuts all lists to `rows` rows, so that loops need no checks.
    fn of(self, rows: usize) -> Intervals<'a> {
        let cut = |list: &'a [f32]| &list[..rows];
        Intervals {
            scales: cut(self.scales),
            norms: cut(self.norms),
            errors: self.errors.map(cut),
            factors: self.factors,
        }
    }

    /// Returns the estimate of row `i` around `middle`.
    #[inline(always)]
    fn around(&self, i: usize, middle: f64) -> Estimate {
        let [of_norm, of_coarse, of_error] = self.factors;
        let [coarse, error] = self.errors.map(|errors| f64::from(errors[i]));
        let error = f64::from(self.norms[i]) * of_norm + coarse * of_coarse + error * of_error;
        let error = error * SLACK + middle.abs() * f64::from(f32::EPSILON);
        Estimate { middle, lower: (middle - error) as f32, upper: (middle + error) as f32 }
    }
}

/// Estimates each row's product from its integer products with the two vectors of an input, which have these `factors`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn estimate(
    rows: Intervals<'_>,
    factors: [f64; 2],
    products: [&[i32]; 2],
    estimates: &mut [Estimate],
) {
    let rows = rows.of(estimates.len());
    let [first, second] = products.map(|products| &products[..estimates.len()]);
    for (i, estimate) in estimates.iter_mut().enumerate() {
        let sum = factors[0] * f64::from(first[i]) + factors[1] * f64::from(second[i]);
        *estimate = rows.around(i, f64::from(rows.scales[i]) * sum);
    }
}

/// Adds a finer part of each row, with this `factor` of its integer products, and narrows the bounds.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
pub(crate) fn narrow(rows: Intervals<'_>, factor: f64, products: &[i32], estimates: &mut [Estimate]) {
    let rows = rows.of(estimates.len());
    let products = &products[..estimates.len()];
    for (i, estimate) in estimates.iter_mut().enumerate() {
        let middle = estimate.middle + f64::from(rows.scales[i]) * factor * f64::from(products[i]);
        let narrow = rows.around(i, middle);
        estimate.middle = middle;
        estimate.lower = estimate.lower.max(narrow.lower);
        estimate.upper = estimate.upper.min(narrow.upper);
    }
}
