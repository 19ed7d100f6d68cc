//! Ternary linear layers: packed weights and the micro-kernels planned for their shape.

use std::collections::{BTreeMap, BTreeSet};

use tercet_autotune::{Plan, Planner, Problem};
use tercet_codegen::{Activations, ColumnsMut, Gemm, KernelCache, Layout, PackedMatrix};

use super::config::Config;
use super::weights::Layer;
use crate::error::Result;
use crate::pool;

/// Numbers of tokens that kernels are planned for, and what computes so many at once.
pub const PLANNED_TOKENS: [(&str, usize); 3] = [("decode", 1), ("few", 8), ("prefill", 128)];

/// Which of [`PLANNED_TOKENS`] serves best.
fn planned_for(tokens: usize) -> usize {
    match tokens {
        0..=1 => 0,
        2..=16 => 1,
        _ => 2,
    }
}

/// The kernels of one shape, for each of [`PLANNED_TOKENS`].
type Planned = [(Plan, Gemm); PLANNED_TOKENS.len()];

/// Plans and kernels per shape of matrix.
#[derive(Debug)]
pub struct Kernels {
    planner: Planner,
    shapes: BTreeMap<(usize, usize), Planned>,
}

impl Kernels {
    /// Plans and emits the kernels of every shape (n, k).
    ///
    /// # Errors
    /// Fails if a planned kernel cannot be made.
    pub fn new(
        planner: Planner,
        cache: &KernelCache,
        threads: usize,
        shapes: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<Self> {
        let planned = |(n, k), m| -> Result<(Plan, Gemm)> {
            let plan = planner.plan(&Problem { n, k, m, threads });
            Ok((plan, Gemm::new(cache, plan.spec)?))
        };
        let shapes = shapes.into_iter().map(|shape| {
            let [decode, few, prefill] = PLANNED_TOKENS.map(|(_, m)| planned(shape, m));
            Ok((shape, [decode?, few?, prefill?]))
        });
        let shapes = shapes.collect::<Result<_>>()?;
        Ok(Kernels { planner, shapes })
    }

    /// The shapes (n, k) of a model's ternary matrices.
    pub fn shapes(config: &Config) -> BTreeSet<(usize, usize)> {
        Layer::shapes(config).into_iter().collect()
    }

    /// The plans of every shape (n, k), for each of [`PLANNED_TOKENS`].
    pub fn plans(&self) -> impl Iterator<Item = ((usize, usize), [&Plan; PLANNED_TOKENS.len()])> {
        self.shapes.iter().map(|(&shape, planned)| (shape, planned.each_ref().map(|(plan, _)| plan)))
    }

    /// Packs row-major ternary `weights` of one of the planned shapes, whose products are multiplied by `scale`.
    ///
    /// # Errors
    /// Those of [`PackedMatrix::pack`].
    pub(super) fn linear(&self, n: usize, k: usize, weights: &[i8], scale: f32) -> Result<Linear> {
        Ok(self.packed(PackedMatrix::pack(self.layout(), n, k, weights)?.with_scale(scale)))
    }

    /// The layer with these weights, of one of the planned shapes and in the planned layout.
    pub(super) fn packed(&self, weights: PackedMatrix) -> Linear {
        let gemms = self.shapes[&(weights.n(), weights.k())].each_ref().map(|(_, gemm)| gemm.clone());
        Linear { weights, gemms }
    }

    /// How matrices are packed for the planned kernels.
    pub(super) fn layout(&self) -> Layout {
        self.planner.layout()
    }
}

/// y = scale · W x, for a ternary matrix W.
#[derive(Debug)]
pub(super) struct Linear {
    weights: PackedMatrix,
    gemms: [Gemm; PLANNED_TOKENS.len()],
}

impl Linear {
    /// Output features.
    pub(super) fn n(&self) -> usize {
        self.weights.n()
    }

    pub(super) fn weights(&self) -> &PackedMatrix {
        &self.weights
    }

    /// Size of the packed weights.
    pub(super) fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Multiplies every token of `acts` into the start of `out`, token-major.
    ///
    /// # Panics
    /// If the activations are not k wide or `out` holds fewer than tokens × n.
    pub(super) fn apply(&self, pool: &tercet_pool::Pool, acts: &Activations, out: &mut [f32]) {
        let gemm = &self.gemms[planned_for(acts.tokens())];
        multiply(pool, gemm, &self.weights, acts, out);
    }
}

/// Multiplies every token of `acts` with `weights` into the start of `out`, token-major.
///
/// # Panics
/// If the activations are not k wide, `out` holds fewer than tokens × n, or `gemm` is for another layout.
pub(crate) fn multiply(
    pool: &tercet_pool::Pool,
    gemm: &Gemm,
    weights: &PackedMatrix,
    acts: &Activations,
    out: &mut [f32],
) {
    let (tokens, n) = (acts.tokens(), weights.n());
    let out = ColumnsMut::new(&mut out[..tokens * n], tokens, n);
    pool::for_columns(pool, out, grain(weights, pool.threads()), |columns| {
        gemm.compute(weights, acts, columns);
    });
}

/// Rows per task: whole row blocks, and a few tasks per thread so that a busy core costs little.
fn grain(weights: &PackedMatrix, threads: usize) -> usize {
    const TASKS_PER_THREAD: usize = 4;
    let blocks = weights.layout().row_blocks(weights.n());
    blocks.div_ceil(threads * TASKS_PER_THREAD) * weights.layout().block_rows()
}
