//! Layers of floats: the modules that a model's authors left out of quantization.

use tercet_codegen::ColumnsMut;

use crate::pool::{self, Team};
use crate::vectors::dot::dot_stored;
use tercet_formats::StoredFloats;

/// A matrix of floats, n × k, in its stored type. Its input is not rounded.
#[derive(Debug)]
pub(super) struct DenseMatrix {
    n: usize,
    k: usize,
    weights: StoredFloats,
}

impl DenseMatrix {
    /// Returns the matrix of n × k weights.
    ///
    /// # Panics
    /// If there are not n × k.
    pub(super) fn new((n, k): (usize, usize), weights: StoredFloats) -> Self {
        assert_eq!(weights.get().len(), n * k);
        DenseMatrix { n, k, weights }
    }

    /// Returns the number of rows.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Returns the number of columns.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Returns the weights.
    pub(super) fn floats(&self) -> &StoredFloats {
        &self.weights
    }

    /// Returns the bytes of the weights.
    pub(super) fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Writes the k weights of a row to `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        self.weights.get().read(row * self.k, out);
    }

    /// Multiplies each token of `x` (k elements) with the matrix, into the start of `out`, tokens × n.
    /// The elements of `x` are values of f32.
    ///
    /// # Panics
    /// If `out` holds fewer than tokens × n.
    pub(super) fn multiply(&self, team: Team<'_>, x: &[f64], out: &mut [f32]) {
        const ROWS: usize = 16;
        let x: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        let tokens = x.len() / self.k;
        let out = ColumnsMut::new(&mut out[..tokens * self.n], tokens, self.n);
        pool::for_columns(team, out, ROWS, self.k, |mut out| {
            for (i, row) in out.columns().enumerate() {
                let weights = self.weights.get().slice(row * self.k, self.k);
                for (token, x) in x.chunks_exact(self.k).enumerate() {
                    out.row_mut(token)[i] = dot_stored(x, weights);
                }
            }
        });
    }
}
