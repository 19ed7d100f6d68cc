//! The macro-kernel: walks the tiles of a range of columns and calls the micro-kernel for each.

use std::ops::Range;
use std::sync::Arc;

use crate::activations::Activations;
use crate::cache::KernelCache;
use crate::columns::{ColumnsMut, Element, TileMut};
use crate::kernel::{KernelError, MicroKernel};
use crate::packing::{PANEL_ROWS, PackedMatrix};
use crate::spec::{KernelSpec, Tile};

/// One tile's micro-kernels for every number of tokens up to its mr.
#[derive(Clone, Debug)]
pub struct Gemm {
    /// At index i, the kernel for i + 1 tokens.
    kernels: Vec<Arc<MicroKernel>>,
}

impl Gemm {
    /// Makes the kernels of `spec` and of its tile with fewer tokens.
    ///
    /// # Errors
    /// See [`KernelError`].
    pub fn new(cache: &KernelCache, spec: KernelSpec) -> Result<Self, KernelError> {
        spec.validate()?;
        let kernels = (1..=spec.tile.mr).map(|mr| cache.get(&spec.with_tokens(mr)));
        Ok(Gemm { kernels: kernels.collect::<Result<_, _>>()? })
    }

    /// The spec of the full tile.
    pub fn spec(&self) -> &KernelSpec {
        self.kernels[self.kernels.len() - 1].spec()
    }

    /// Y = X·Wᵀ for the given columns of Y: out\[t\]\[r\] = Σ acts\[t\]\[k\] · weights\[r\]\[k\], finished by the epilogue.
    ///
    /// # Panics
    /// If the operands differ in k, tokens or n, `weights` has another layout or `T` another epilogue than the spec,
    /// or the columns do not start at a row block.
    pub fn compute<T: Element>(
        &self,
        weights: &PackedMatrix,
        acts: &Activations,
        mut out: ColumnsMut<'_, T>,
    ) {
        assert_eq!(out.tokens(), acts.tokens(), "output and activations differ in tokens");
        let columns = out.columns();
        assert!(columns.end <= weights.n(), "output is wider than the weights");
        assert!(
            columns.start.is_multiple_of(weights.layout().block_rows()),
            "columns must start at a row block"
        );
        let KernelSpec { tile, layout, .. } = *self.spec();
        // With few tokens a call goes over all whole tiles, for the weights to keep streaming; with many, tile after tile,
        // for a tile's weights to stay in a cache while all tokens use them.
        let few = acts.tokens() <= self.kernels.len() && tile.nr == layout.block_rows();
        let whole = columns.start..columns.end - columns.len() % tile.nr;
        let stride = if few { whole.len().max(1) } else { tile.nr };
        for column in whole.clone().step_by(stride) {
            for tokens in even_chunks(acts.tokens(), self.kernels.len()) {
                let kernel = &self.kernels[tokens.len() - 1];
                let first = tokens.start;
                let tiles = out.tile(tokens, column..column + stride);
                kernel.run(weights, column / PANEL_ROWS, acts, first, tiles);
            }
        }
        if whole.end < columns.end {
            self.compute_part(weights, acts, out, whole.end..columns.end);
        }
    }

    /// Computes the columns of a tile that reaches beyond the output.
    fn compute_part<T: Element>(
        &self,
        weights: &PackedMatrix,
        acts: &Activations,
        mut out: ColumnsMut<'_, T>,
        columns: Range<usize>,
    ) {
        let nr = self.spec().tile.nr;
        for tokens in even_chunks(acts.tokens(), self.kernels.len()) {
            let kernel = &self.kernels[tokens.len() - 1];
            let mut scratch = [T::default(); Tile::MAX_MR * Tile::MAX_NR];
            let whole = TileMut::of_scratch(&mut scratch, tokens.len(), nr);
            kernel.run(weights, columns.start / PANEL_ROWS, acts, tokens.start, whole);
            let mut part = out.tile(tokens.clone(), columns.clone());
            for (t, row) in scratch.chunks_exact(nr).take(tokens.len()).enumerate() {
                part.row_mut(t).copy_from_slice(&row[..columns.len()]);
            }
        }
    }
}

/// Splits 0..total into the fewest chunks of at most `most`, which differ by one at most.
fn even_chunks(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let chunks = total.div_ceil(most);
    (0..chunks).map(move |i| i * total / chunks..(i + 1) * total / chunks)
}
