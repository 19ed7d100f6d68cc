//! The macro-kernel: walks the tiles of a range of columns and calls the micro-kernel for each.

mod groups;

pub(crate) use groups::Stepped;

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use crate::activations::Activations;
use crate::cache::KernelCache;
use crate::columns::{ColumnsMut, Element, TileMut};
use crate::kernel::{KernelError, MicroKernel};
use crate::packing::{PANEL_ROWS, PackedMatrix};
use crate::spec::{KernelSpec, Tile};
use crate::unpacked::with_unpacked;
use crate::view::View;

/// The micro-kernels of one tile, for every number of tokens up to its mr.
#[derive(Clone, Debug)]
pub struct Gemm {
    spec: KernelSpec,
    /// The kernel for i + 1 tokens has index i.
    kernels: Vec<Arc<MicroKernel>>,
}

impl Gemm {
    /// Makes the kernels of `spec`, for its tokens and for fewer.
    ///
    /// # Errors
    /// See [`KernelError`].
    pub fn new(cache: &KernelCache, spec: KernelSpec) -> Result<Self, KernelError> {
        spec.validate()?;
        let kernels = (1..=spec.tile.mr).map(|mr| cache.get(&spec.with_tokens(mr)));
        Ok(Gemm { spec, kernels: kernels.collect::<Result<_, _>>()? })
    }

    /// Returns the spec of the full tile.
    pub fn spec(&self) -> &KernelSpec {
        &self.spec
    }

    /// Computes Y = X·Wᵀ for the given columns of Y: out\[t\]\[r\] = Σ acts\[t\]\[k\] · weights\[r\]\[k\], then the
    /// epilogue.
    ///
    /// # Panics
    /// - If the operands differ in k, tokens or n.
    /// - If `weights` has another layout or `T` another epilogue than the spec.
    /// - If the weights have groups, or the columns do not start at a row block.
    pub fn compute<T: Element>(
        &self,
        weights: &PackedMatrix,
        acts: &Activations,
        mut out: ColumnsMut<'_, T>,
    ) {
        assert_eq!(out.tokens(), acts.tokens(), "output and activations differ in tokens");
        assert!(weights.group_size().is_none(), "the weights have groups");
        check_columns(weights, &out);
        self.with_order(acts, |acts| self.compute_columns(weights, acts, &mut out));
    }

    /// Passes activations on in the order that the kernels read.
    fn with_order(&self, acts: &Activations, multiply: impl FnOnce(&Activations)) {
        thread_local! {
            /// The buffer of all calls of a thread.
            static TILES: Cell<Activations> = Cell::default();
        }
        if !self.spec.schedule.unpack.reads_tiles() {
            return multiply(acts);
        }
        let mut tiles = TILES.take();
        acts.in_tiles(self.spec.layout.packing.groups(), &mut tiles);
        multiply(&tiles);
        TILES.set(tiles);
    }

    fn compute_columns<T: Element>(
        &self,
        weights: &PackedMatrix,
        acts: &Activations,
        out: &mut ColumnsMut<'_, T>,
    ) {
        let columns = out.columns();
        let Tile { nr, .. } = self.spec.tile;
        let unpacked = self.spec.schedule.unpack.unpacked_multiple();
        // With few tokens one call does all whole tiles, so that the weights stream without a break. With many tokens the
        // calls go tile by tile, so that a tile's weights stay in a cache for all tokens.
        let few =
            acts.tokens() <= self.kernels.len() && nr == weights.layout().block_rows() && unpacked.is_none();
        let whole = columns.start..columns.end - columns.len() % nr;
        let stride = if few { whole.len().max(1) } else { nr };
        let (starts, part) = (whole.clone().step_by(stride), whole.end..columns.end);
        let ranges =
            starts.map(|start| start..start + stride).chain([part].into_iter().filter(|p| !p.is_empty()));
        for columns in ranges {
            let panel = columns.start / PANEL_ROWS;
            if let Some(multiple) = unpacked {
                with_unpacked(weights.into(), panel, nr / PANEL_ROWS, multiple, |rows| {
                    self.multiply(rows, 0, acts, out, columns);
                });
            } else {
                self.multiply(weights.into(), panel, acts, out, columns);
            }
        }
    }

    /// Multiplies the rows from `panel` on, for all tokens. They are whole tiles, or one tile that reaches beyond the output.
    pub(crate) fn multiply<T: Element>(
        &self,
        weights: View<'_>,
        panel: usize,
        acts: &Activations,
        out: &mut ColumnsMut<'_, T>,
        columns: Range<usize>,
    ) {
        let nr = self.spec.tile.nr;
        for tokens in even_chunks(acts.tokens(), self.kernels.len()) {
            let (kernel, first) = (&self.kernels[tokens.len() - 1], tokens.start);
            if columns.len().is_multiple_of(nr) {
                kernel.run(weights, panel, acts, first, out.tile(tokens, columns.clone()));
                continue;
            }
            let mut scratch = [T::default(); Tile::MAX_MR * Tile::MAX_NR];
            kernel.run(weights, panel, acts, first, TileMut::of_scratch(&mut scratch, tokens.len(), nr));
            let mut part = out.tile(tokens.clone(), columns.clone());
            for (t, row) in scratch.chunks_exact(nr).take(tokens.len()).enumerate() {
                part.row_mut(t).copy_from_slice(&row[..columns.len()]);
            }
        }
    }
}

/// Checks that the columns of `out` are rows of `weights`.
fn check_columns<T: Element>(weights: &PackedMatrix, out: &ColumnsMut<'_, T>) {
    let columns = out.columns();
    assert!(columns.end <= weights.n(), "output is wider than the weights");
    assert!(columns.start.is_multiple_of(weights.layout().block_rows()), "columns must start at a row block");
}

/// Splits 0..total into the fewest chunks of at most `most`. Their lengths differ by at most one.
fn even_chunks(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let chunks = total.div_ceil(most);
    (0..chunks).map(move |i| i * total / chunks..(i + 1) * total / chunks)
}
