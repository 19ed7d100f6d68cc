//! Ternary matrices for the exact mode, which checks the fast mode: it shares neither packing nor
//! kernels with it.

use tercet_codegen::ColumnsMut;

use crate::pool::{self, Team};
use crate::vectors::dot::dot_trits;
use tercet_formats::{Scales, Ternary};

/// A ternary matrix as it was read.
///
/// Products are computed in double precision and rounded to f32 once. Activations that are later rounded
/// to integers are the same as with exact products, except for ties.
#[derive(Debug)]
pub(super) struct ExactMatrix {
    n: usize,
    k: usize,
    ternary: Ternary,
}

impl ExactMatrix {
    /// Returns the matrix of n × k weights.
    pub(super) fn new((n, k): (usize, usize), ternary: Ternary) -> Self {
        assert_eq!(ternary.trits.len(), n * k);
        ExactMatrix { n, k, ternary }
    }

    /// Returns the number of rows.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Returns the number of columns.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Returns the bytes of weights and scales.
    pub(super) fn bytes(&self) -> usize {
        self.ternary.trits.len() + size_of_val(self.scales(0..self.n))
    }

    /// Returns the scale that all weights share, if there is one.
    pub(super) fn scale(&self) -> Option<f32> {
        match self.ternary.scales {
            Scales::Tensor(scale) => Some(scale),
            Scales::Groups { .. } => None,
        }
    }

    /// Returns the number of columns that share a scale.
    pub(super) fn group_size(&self) -> usize {
        match self.ternary.scales {
            Scales::Tensor(_) => self.k,
            Scales::Groups { size, .. } => size,
        }
    }

    /// Writes the k weights of a row to `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        let size = self.group_size();
        let groups = self.trits(row).chunks(size).zip(out.chunks_mut(size));
        for ((trits, out), scale) in groups.zip(self.scales(row..row + 1)) {
            out.iter_mut().zip(trits).for_each(|(out, &trit)| *out = scale * f32::from(trit));
        }
    }

    /// Multiplies each token of `x` (k elements) with the matrix, into the start of `out`, tokens × n.
    ///
    /// # Panics
    /// If `out` holds fewer than tokens × n.
    pub(super) fn multiply(&self, team: Team<'_>, x: &[f64], out: &mut [f32]) {
        const ROWS: usize = 16;
        let tokens = x.len() / self.k;
        pool::for_columns(
            team,
            ColumnsMut::new(&mut out[..tokens * self.n], tokens, self.n),
            ROWS,
            self.k,
            |mut out| {
                let rows = out.columns();
                for (token, x) in x.chunks_exact(self.k).enumerate() {
                    let out = out.row_mut(token);
                    out.iter_mut().zip(rows.clone()).for_each(|(y, row)| *y = self.product(row, x));
                }
            },
        );
    }

    /// Returns Σ x·w of a row.
    fn product(&self, row: usize, x: &[f64]) -> f32 {
        let size = self.group_size();
        let groups = x.chunks(size).zip(self.trits(row).chunks(size)).zip(self.scales(row..row + 1));
        groups.map(|((x, trits), scale)| dot_trits(x, trits) * f64::from(*scale)).sum::<f64>() as f32
    }

    fn trits(&self, row: usize) -> &[i8] {
        &self.ternary.trits[row * self.k..][..self.k]
    }

    /// Returns the scales of consecutive rows, or the matrix's only scale.
    fn scales(&self, rows: std::ops::Range<usize>) -> &[f32] {
        match &self.ternary.scales {
            Scales::Tensor(scale) => std::slice::from_ref(scale),
            Scales::Groups { size, values } => {
                let count = self.k.div_ceil(*size);
                &values[rows.start * count..rows.end * count]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tercet_pool::Pool;

    use super::*;
    use crate::model::random_trits;

    #[test]
    fn products_equal_plain_arithmetic() {
        let pool = Pool::new(2).unwrap();
        for (n, k, size, tokens) in
            [(1, 5, None, 1), (70, 300, None, 3), (33, 96, Some(64), 2), (20, 7, Some(7), 1)]
        {
            let trits = random_trits(n * k, 9);
            let count = k.div_ceil(size.unwrap_or(k));
            let values: Vec<f32> = (0..n * count).map(|i| 0.01 * (1 + i % 13) as f32).collect();
            let scale = |row: usize, column: usize| match size {
                None => values[0],
                Some(size) => values[row * count + column / size],
            };
            let scales = match size {
                None => Scales::Tensor(values[0]),
                Some(size) => Scales::Groups { size, values: values.clone() },
            };
            let x: Vec<f64> = (0..tokens * k).map(|i| (i as f64 * 0.7).sin() * 3.0).collect();
            let matrix = ExactMatrix::new((n, k), Ternary { trits: trits.clone(), scales });
            let mut out = vec![f32::NAN; tokens * n];
            matrix.multiply(Team::new(&pool), &x, &mut out);
            let mut weights = vec![f32::NAN; k];
            for row in 0..n {
                matrix.read_row(row, &mut weights);
                for (column, weight) in weights.iter().enumerate() {
                    assert_eq!(*weight, scale(row, column) * f32::from(trits[row * k + column]));
                }
                for token in 0..tokens {
                    let products = x[token * k..][..k].iter().zip(&weights);
                    let expected: f64 = products.map(|(x, w)| x * f64::from(*w)).sum();
                    let found = f64::from(out[token * n + row]);
                    assert!((found - expected).abs() < 1e-6, "{n}x{k}/{size:?}: {found} {expected}");
                }
            }
        }
    }
}
