//! Products with a matrix that is packed column by column.

use std::ops::Range;

use super::unpack::Unpackers;
use super::visit::Visitors;
use super::{ColumnInput, ColumnMatrix, DIGITS};
use crate::activations::Activations;
use crate::cache::KernelCache;
use crate::columns::{ColumnsMut, Element};
use crate::gemm::Gemm;
use crate::isa::Isa;
use crate::kernel::KernelError;
use crate::packing::{BLOCK_BYTES, PANEL_ROWS};
use crate::spec::{KernelSpec, Unpack};

/// The kernels for one [`ColumnMatrix`], and for those of the same shape.
#[derive(Debug)]
pub struct ColumnGemm {
    visitors: Visitors,
    unpackers: Unpackers,
    many: Gemm,
}

impl ColumnGemm {
    /// Returns true if `isa` has kernels that skip columns.
    pub fn exists_for(isa: Isa) -> bool {
        isa.row().frame.sparse.is_some()
    }

    /// Returns true if the kernel of `spec` can multiply many tokens: it unpacks rows, and its tile fits into 64 rows.
    pub fn can_use(spec: &KernelSpec) -> bool {
        matches!(spec.schedule.unpack, Unpack::Once | Unpack::Tiles)
            && BLOCK_BYTES.is_multiple_of(spec.tile.nr)
    }

    /// Makes the kernels. That of `spec` multiplies many tokens.
    ///
    /// # Errors
    /// See [`KernelError`].
    ///
    /// # Panics
    /// If [`ColumnGemm::exists_for`] or [`ColumnGemm::can_use`] is false.
    pub fn new(cache: &KernelCache, spec: KernelSpec) -> Result<Self, KernelError> {
        assert!(Self::can_use(&spec), "the kernel does not unpack rows");
        let many = Gemm::new(cache, spec)?;
        Ok(ColumnGemm {
            visitors: Visitors::new(cache, spec.isa)?,
            unpackers: Unpackers::new(cache, spec.isa, spec.tile.panels())?,
            many,
        })
    }

    /// Returns the most tokens of a chunk of [`ColumnInput`].
    pub fn most_tokens(&self) -> usize {
        self.visitors.most_tokens()
    }

    /// Computes Σ code · activation over some quads of `input`, for each row of a strip. A code is the weight plus 1.
    ///
    /// `out` gets [`STRIP_ROWS`](super::STRIP_ROWS) sums for each token.
    ///
    /// # Panics
    /// If the input is not k wide, has larger chunks than [`ColumnGemm::most_tokens`] or fewer quads, if there is no such
    /// strip, or if `out` has another length.
    pub fn visit(
        &self,
        weights: &ColumnMatrix,
        strip: usize,
        input: &ColumnInput,
        quads: Range<usize>,
        out: &mut [i32],
    ) {
        self.visitors.visit(weights, strip, input, quads, out);
    }

    /// Computes the given columns of Y = X·Wᵀ for many tokens, as [`Gemm::compute`] does. They start at a multiple of 64.
    ///
    /// # Panics
    /// If the operands differ in k, tokens or n, or `T` is not stored by the kernel.
    pub fn compute<T: Element>(
        &self,
        weights: &ColumnMatrix,
        acts: &Activations,
        mut out: ColumnsMut<'_, T>,
    ) {
        let (columns, KernelSpec { tile, schedule, .. }) = (out.columns(), *self.many.spec());
        assert_eq!(out.tokens(), acts.tokens(), "output and activations differ in tokens");
        assert!(columns.end <= weights.n(), "output is wider than the weights");
        assert!(
            columns.start.is_multiple_of(BLOCK_BYTES),
            "columns must start at a multiple of {BLOCK_BYTES}"
        );
        let multiple = schedule.unpack.unpacked_multiple().unwrap_or(1);
        for first in columns.clone().step_by(BLOCK_BYTES) {
            let (place, end) = (first / BLOCK_BYTES, columns.end.min(first + BLOCK_BYTES));
            let place = (place / DIGITS, place % DIGITS);
            self.unpackers.with_rows(weights, place, multiple, |rows| {
                for start in (first..end).step_by(tile.nr) {
                    let panel = (start - first) / PANEL_ROWS;
                    self.many.multiply(rows, panel, acts, &mut out, start..end.min(start + tile.nr));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::STRIP_ROWS;
    use crate::sparse::samples::{product, specs, weights};
    use tercet_cpu::Cpu;

    /// Returns the kernels of every family: interpreted, and those that this CPU can run.
    fn kernels() -> impl Iterator<Item = (KernelSpec, ColumnGemm)> {
        specs().flat_map(move |spec| {
            let native = spec.isa.runs_on(Cpu::host());
            let native = native.then(|| ColumnGemm::new(&KernelCache::default(), spec).unwrap());
            let emulated = ColumnGemm::new(&KernelCache::emulating(), spec).unwrap();
            [Some(emulated), native].into_iter().flatten().map(move |kernels| (spec, kernels))
        })
    }

    /// Returns tokens in which every `period`th activation is not zero.
    fn acts(tokens: usize, k: usize, period: usize) -> Activations {
        let mut acts = Activations::with_capacity(tokens, k);
        acts.reset(tokens, k);
        for (token, mut row) in acts.rows_mut().enumerate() {
            row.set(|values| {
                for (column, value) in values.iter_mut().enumerate() {
                    if (column + token).is_multiple_of(period) {
                        *value = [-128, 127, 1, -1, 77][(column / period + token) % 5];
                    }
                }
                1.0
            });
        }
        acts
    }

    #[test]
    fn visited_columns_give_the_whole_sums() {
        for (spec, kernels) in kernels() {
            let shapes = [
                (1, 320, 64, 1),
                (1, 350, 37, 3),
                (2, 20, 50, 2),
                (3, 321, 9, 4),
                (5, 330, 21, 2),
                (16, 7, 30, 3),
            ];
            for (tokens, n, k, period) in shapes {
                let weights = weights(n, k);
                let matrix = ColumnMatrix::pack(n, k, &weights).unwrap();
                let (acts, mut input) = (acts(tokens, k, period), ColumnInput::default());
                input.set(&acts, kernels.most_tokens());
                let middle = input.quads() / 2;
                for strip in 0..matrix.strips() {
                    let [mut first, mut second] = [0, 1].map(|_| vec![77; tokens * STRIP_ROWS]);
                    kernels.visit(&matrix, strip, &input, 0..middle, &mut first);
                    kernels.visit(&matrix, strip, &input, middle..input.quads(), &mut second);
                    for token in 0..tokens {
                        for row in strip * STRIP_ROWS..n.min((strip + 1) * STRIP_ROWS) {
                            let expected = product(&weights[row * k..][..k], acts.row(token), 1);
                            let at = token * STRIP_ROWS + row % STRIP_ROWS;
                            assert_eq!(first[at] + second[at], expected, "{spec}: token {token}, row {row}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn unpacked_rows_give_the_whole_products() {
        for (spec, kernels) in kernels() {
            for (tokens, n, k) in [(3, 330, 37), (1, 64, 4), (5, 700, 83), (2, 31, 3)] {
                let (weights, acts) = (weights(n, k), acts(tokens, k, 1));
                let matrix = ColumnMatrix::pack(n, k, &weights).unwrap();
                let mut out = vec![0i32; tokens * n];
                kernels.compute(&matrix, &acts, ColumnsMut::new(&mut out, tokens, n));
                for (token, row) in (0..tokens).flat_map(|token| (0..n).map(move |row| (token, row))) {
                    let expected = product(&weights[row * k..][..k], acts.row(token), 0);
                    assert_eq!(out[token * n + row], expected, "{spec}: token {token}, row {row}");
                }
            }
        }
    }

    #[test]
    fn the_largest_sums_are_exact() {
        let k = crate::packing::MAX_K;
        let matrix = ColumnMatrix::pack(1, k, &vec![1; k]).unwrap();
        let mut acts = Activations::with_capacity(1, k);
        acts.reset(1, k);
        acts.rows_mut().for_each(|mut row| {
            row.set(|values| {
                values.fill(-128);
                1.0
            });
        });
        let mut input = ColumnInput::default();
        for (spec, kernels) in kernels() {
            input.set(&acts, kernels.most_tokens());
            let mut out = vec![0; STRIP_ROWS];
            kernels.visit(&matrix, 0, &input, 0..input.quads(), &mut out);
            assert_eq!(out[0], -2 * 128 * k as i32, "{spec}");
        }
    }

    #[test]
    fn without_any_column_the_sums_are_zero() {
        let matrix = ColumnMatrix::pack(3, 5, &[1; 15]).unwrap();
        let mut acts = Activations::with_capacity(2, 5);
        acts.reset(2, 5);
        let mut input = ColumnInput::default();
        for (_, kernels) in kernels() {
            input.set(&acts, kernels.most_tokens());
            assert_eq!(input.quads(), 0);
            let mut out = vec![9; 2 * STRIP_ROWS];
            kernels.visit(&matrix, 0, &input, 0..0, &mut out);
            assert!(out.iter().all(|sum| *sum == 0));
        }
    }
}
