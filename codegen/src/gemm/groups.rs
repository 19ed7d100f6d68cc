//! Products with one scale for each group of a row.

use std::cell::Cell;
use std::ops::Range;

use multiversion::multiversion;

use super::{Gemm, check_columns, even_chunks};
use crate::activations::Activations;
use crate::columns::{ColumnsMut, TileMut};
use crate::packing::{Block, PANEL_ROWS, PackedMatrix};
use crate::spec::Epilogue;
use crate::unpacked::with_unpacked;
use crate::view::View;

impl Gemm {
    /// Computes Y = X·Wᵀ for the given columns of Y. Weights and activations have scales for the same groups of columns.
    ///
    /// The result is a sum over the groups, in their order: the group's integer sum times (scale of the row · factor of the
    /// token). So each product and each addition is rounded once, on every ISA. The spec stores integers.
    ///
    /// # Panics
    /// - If the operands differ in k, groups, tokens or n.
    /// - If `weights` has another layout than the spec, or the spec stores no integers.
    /// - If the columns do not start at a row block.
    pub fn compute_groups(&self, weights: &PackedMatrix, acts: &Activations, mut out: ColumnsMut<'_, f32>) {
        assert_eq!(out.tokens(), acts.tokens(), "output and activations differ in tokens");
        assert_eq!(weights.group_size(), Some(acts.group_size()), "weights and activations differ in groups");
        assert_eq!(self.spec.epilogue, Epilogue::I32, "the kernel stores another type");
        check_columns(weights, &out);
        self.with_order(acts, |acts| self.compute_columns_of_groups(weights, acts, &mut out));
    }

    fn compute_columns_of_groups(
        &self,
        weights: &PackedMatrix,
        acts: &Activations,
        out: &mut ColumnsMut<'_, f32>,
    ) {
        let (columns, nr) = (out.columns(), self.spec.tile.nr);
        for start in columns.clone().step_by(nr) {
            let (panel, tile) = (start / PANEL_ROWS, start..columns.end.min(start + nr));
            if let Some(multiple) = self.spec.schedule.unpack.unpacked_multiple() {
                with_unpacked(weights.into(), panel, nr / PANEL_ROWS, multiple, |rows| {
                    self.add_groups(rows, 0, acts, out, tile);
                });
            } else {
                self.add_groups(weights.into(), panel, acts, out, tile);
            }
        }
    }

    /// Computes one tile of rows, for all tokens.
    fn add_groups(
        &self,
        weights: View<'_>,
        panel: usize,
        acts: &Activations,
        out: &mut ColumnsMut<'_, f32>,
        columns: Range<usize>,
    ) {
        thread_local! {
            /// Integer sums of some tokens: token × group × row.
            static SUMS: Cell<Vec<i32>> = const { Cell::new(Vec::new()) };
        }
        let width = weights.groups * self.spec.tile.nr;
        let mut sums = SUMS.take();
        for tokens in even_chunks(acts.tokens(), self.kernels.len()) {
            sums.resize(tokens.len() * width, 0);
            let tile = TileMut::of_scratch(&mut sums, tokens.len(), width);
            self.kernels[tokens.len() - 1].run(weights, panel, acts, tokens.start, tile);
            let mut out = out.tile(tokens.clone(), columns.clone());
            for (t, sums) in sums.chunks_exact(width).enumerate() {
                let factors = Stepped { items: &acts.factors()[tokens.start + t..], step: acts.tokens() };
                let sums = Stepped { items: sums, step: self.spec.tile.nr };
                add_scaled(out.row_mut(t), sums, weights.scales(panel), factors);
            }
        }
        SUMS.set(sums);
    }
}

/// One item for each group: the first of `items`, and each `step` after it.
#[derive(Clone, Copy)]
pub(crate) struct Stepped<'a, T> {
    pub(crate) items: &'a [T],
    pub(crate) step: usize,
}

impl<'a, T> Stepped<'a, T> {
    fn chunks(self) -> std::slice::Chunks<'a, T> {
        self.items.chunks(self.step)
    }
}

/// Computes the rows of a tile: Σ sum · (scale · factor) over the groups, in their order.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_scaled(
    out: &mut [f32],
    sums: Stepped<'_, i32>,
    scales: Stepped<'_, Block>,
    factors: Stepped<'_, f32>,
) {
    out.fill(0.0);
    for ((sums, scales), factor) in sums.chunks().zip(scales.chunks()).zip(factors.chunks()) {
        let (scales, factor) = (Block::bytes(scales).as_chunks::<{ size_of::<f32>() }>().0, factor[0]);
        for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
            *out += *sum as f32 * (f32::from_le_bytes(*scale) * factor);
        }
    }
}
