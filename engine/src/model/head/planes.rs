//! The quantized copy of a head, in planes.
//!
//! A weight is about s·(9·h + 3·t + u). The high plane has h in four bits. Two low planes have the trits t and u. A product with
//! the high plane alone, or with the first low plane, excludes most rows. So the planes after it are seldom read.
//!
//! A small copy stays in caches and costs little to read. It has one plane of seven bits, which takes less arithmetic.

use std::ops::Range;

use tercet_autotune::{Planner, Problem};
use tercet_codegen::{
    Activations, ColumnsMut, Epilogue, Gemm, KernelCache, KernelSpec, Layout, PackedMatrix, Packing,
};
use tercet_pool::Pool;

use super::Rows;
use super::rows::{Quantizer, RowBound, RowBounds};
use crate::error::Result;
use crate::packed::{PackedFile, Part, PartKind};
use crate::pool::{self, Team};

/// The most low planes.
pub(super) const LOW_PLANES: usize = 2;

/// The planes, n × k each.
#[derive(Debug)]
pub(super) struct Planes {
    high: PackedMatrix,
    /// None, or as many as there can be.
    low: Vec<PackedMatrix>,
    kernels: Kernels,
}

/// The kernels of all planes.
#[derive(Debug)]
struct Kernels {
    /// For one token and for several. A token has two vectors here.
    high: [Gemm; 2],
    /// For one token and for several.
    low: [Gemm; 2],
}

/// Plans the planes of an n × k head, and their kernels.
#[derive(Debug)]
pub(in crate::model) struct Plans {
    shape: (usize, usize),
    high: Planner,
    low: Planner,
}

/// Names of the parts in a packed file.
const HIGH: &str = "head.high";
const LOW: [&str; LOW_PLANES] = ["head.low.1", "head.low.2"];

/// Row blocks in a task.
const BLOCKS: usize = 4;

impl Plans {
    /// Plans a head of n × k weights, with a planner for each packing.
    pub(in crate::model) fn new(shape: (usize, usize), planner: impl Fn(Packing) -> Planner) -> Self {
        /// Bytes that stay in the caches of nearly every CPU.
        const CACHED: usize = 4 << 20;
        Self::within(CACHED, shape, planner)
    }

    /// Plans as [`Plans::new`] does, for a CPU whose caches keep `cached` bytes of a head.
    pub(super) fn within(cached: usize, shape: (usize, usize), planner: impl Fn(Packing) -> Planner) -> Self {
        let fits = shape.0.saturating_mul(shape.1) <= cached;
        let high = if fits { Packing::Bytes } else { Packing::Bits4 };
        Plans { shape, high: planner(high), low: planner(Packing::Bits2) }
    }

    /// Returns the layout of the high plane. The others follow from it.
    pub(in crate::model) fn layout(&self) -> Layout {
        self.high.layout()
    }

    /// Returns the number of low planes.
    fn low_planes(&self) -> usize {
        if self.layout().packing == Packing::Bytes { 0 } else { LOW_PLANES }
    }

    fn kernels(&self, cache: &KernelCache, pool: &Pool) -> Result<Kernels> {
        let (n, k) = self.shape;
        let gemm = |planner: &Planner, m| {
            let plan = planner.plan(&Problem { n, k, m, threads: pool.threads() });
            Gemm::new(cache, KernelSpec { epilogue: Epilogue::I32, ..plan.spec })
        };
        Ok(Kernels {
            high: [gemm(&self.high, 2)?, gemm(&self.high, 16)?],
            low: [gemm(&self.low, 1)?, gemm(&self.low, 8)?],
        })
    }
}

impl Planes {
    /// Quantizes the rows of a head. Also returns their bounds.
    ///
    /// # Errors
    /// Fails if the rows cannot be packed, or a kernel cannot be made.
    pub(super) fn new(
        rows: &impl Rows,
        plans: &Plans,
        cache: &KernelCache,
        pool: &Pool,
    ) -> Result<(Self, RowBounds)> {
        let (n, k) = plans.shape;
        let low_planes = plans.low_planes();
        let mut layouts = vec![plans.high.layout()];
        layouts.resize(1 + low_planes, plans.low.layout());
        let rows_each = plans.layout().block_rows();
        let mut bounds = vec![RowBound::default(); n];
        let mut matrices = PackedMatrix::fill_together(&layouts, (n, k), |planes| {
            let planes = planes.into_iter().zip(&layouts);
            let mut planes: Vec<_> =
                planes.map(|(plane, layout)| plane.chunks_exact_mut(layout.row_block_len(k))).collect();
            let parts = bounds.chunks_mut(rows_each).map(|bounds| {
                let blocks: Vec<_> = planes.iter_mut().filter_map(Iterator::next).collect();
                (bounds, blocks, Ok(()))
            });
            let mut parts: Vec<_> = parts.collect();
            pool.chunks(&mut parts, 1, |i, part| {
                let (bounds, blocks, outcome) = &mut part[0];
                let mut quantizer = Quantizer::new(k, bounds.len(), low_planes);
                for (j, bound) in bounds.iter_mut().enumerate() {
                    *bound = quantizer.quantize(rows.row(i * rows_each + j), j);
                }
                rows.release(i * rows_each..i * rows_each + bounds.len());
                let mut planes = layouts.iter().zip(&quantizer.planes).zip(blocks);
                *outcome =
                    planes.try_for_each(|((layout, weights), blocks)| layout.pack_rows(k, weights, blocks));
            });
            parts.into_iter().try_for_each(|(.., outcome)| outcome)
        })?;
        let low = matrices.split_off(1);
        let high = matrices.swap_remove(0);
        let planes = Planes { high, low, kernels: plans.kernels(cache, pool)? };
        Ok((planes, RowBounds::new(bounds, low_planes)))
    }

    /// Reads the [parts](Planes::parts) of a packed file.
    ///
    /// # Errors
    /// Fails if a part is damaged or has another shape, or a kernel cannot be made.
    pub(super) fn read(packed: &PackedFile, plans: &Plans, cache: &KernelCache, pool: &Pool) -> Result<Self> {
        let low = |name: &&str| packed.matrix(name, plans.low.layout(), plans.shape, pool);
        Ok(Planes {
            high: packed.matrix(HIGH, plans.high.layout(), plans.shape, pool)?,
            low: LOW[..plans.low_planes()].iter().map(low).collect::<Result<_>>()?,
            kernels: plans.kernels(cache, pool)?,
        })
    }

    /// Returns the parts of a packed file that hold the planes.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let planes = [(HIGH, &self.high)].into_iter().chain(LOW.into_iter().zip(&self.low));
        planes.map(|(name, matrix)| Part { name: name.to_owned(), kind: PartKind::Matrix(matrix) })
    }

    /// Returns the rows of the head, and their width.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.high.n(), self.high.k())
    }

    /// Returns the bytes of all planes.
    pub(super) fn bytes(&self) -> usize {
        self.high.bytes() + self.low.iter().map(PackedMatrix::bytes).sum::<usize>()
    }

    /// Returns the bytes of the high plane, of `depth` whole low planes, and of `rows` single rows of low planes.
    pub(super) fn bytes_read(&self, depth: usize, rows: usize) -> usize {
        let low = self.low.first().map_or(0, PackedMatrix::bytes);
        self.high.bytes() + depth * low + rows * low / self.high.n()
    }

    /// Returns the number of low planes.
    pub(super) fn low_planes(&self) -> usize {
        self.low.len()
    }

    /// Returns the rows of a plane that are read together.
    pub(super) fn block_rows(&self) -> usize {
        self.high.layout().block_rows()
    }

    /// Writes h·a of every row for each vector a in `acts`, to `sums`: row after row for each vector.
    pub(super) fn multiply_high(&self, team: Team<'_>, acts: &Activations, sums: &mut [i32]) {
        let gemm = &self.kernels.high[usize::from(acts.tokens() > 2)];
        multiply(team, gemm, &self.high, acts, sums);
    }

    /// Writes the products of every row of low plane `plane` with each vector in `acts`, to `sums`: row after row for each
    /// vector.
    pub(super) fn multiply_low(&self, team: Team<'_>, plane: usize, acts: &Activations, sums: &mut [i32]) {
        let gemm = &self.kernels.low[usize::from(acts.tokens() > 1)];
        multiply(team, gemm, &self.low[plane], acts, sums);
    }

    /// Writes the products of some rows of low plane `plane` with the one vector in `acts`. `rows` are whole blocks, but for the
    /// last rows of the head. `sums` has their products only.
    pub(super) fn multiply_low_rows(
        &self,
        plane: usize,
        rows: Range<usize>,
        acts: &Activations,
        sums: &mut [i32],
    ) {
        self.kernels.low[0].compute(&self.low[plane], acts, ColumnsMut::window(sums, 1, rows));
    }
}

fn multiply(team: Team<'_>, gemm: &Gemm, plane: &PackedMatrix, acts: &Activations, sums: &mut [i32]) {
    let grain = plane.layout().block_rows() * BLOCKS;
    let sums = ColumnsMut::new(sums, acts.tokens(), plane.n());
    pool::for_columns(team, sums, grain, plane.k(), |columns| gemm.compute(plane, acts, columns));
}
