//! Ternary linear layers: packed weights and the micro-kernels planned for their shape.

use std::collections::{BTreeMap, BTreeSet};

use tercet_autotune::{Plan, Planner, Problem};
use tercet_codegen::{Activations, ColumnsMut, Gemm, KernelCache, PackedMatrix};

use super::config::Config;
use super::weights::Layer;
use crate::error::Result;
use crate::pool;

/// The number of tokens that prefill is planned for.
pub(crate) const PREFILL_TOKENS: usize = 128;

/// The kernels of one shape, planned for one token and for many.
#[derive(Clone, Debug)]
struct Planned {
    decode: (Plan, Gemm),
    prefill: (Plan, Gemm),
}

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
            Ok((shape, Planned { decode: planned(shape, 1)?, prefill: planned(shape, PREFILL_TOKENS)? }))
        });
        let shapes = shapes.collect::<Result<_>>()?;
        Ok(Kernels { planner, shapes })
    }

    /// The shapes (n, k) of a model's ternary matrices.
    pub fn shapes(config: &Config) -> BTreeSet<(usize, usize)> {
        Layer::shapes(config).into_iter().collect()
    }

    /// The plans: (n, k), decode, prefill.
    pub fn plans(&self) -> impl Iterator<Item = ((usize, usize), &Plan, &Plan)> {
        self.shapes.iter().map(|(&shape, planned)| (shape, &planned.decode.0, &planned.prefill.0))
    }

    /// Packs row-major ternary `weights` of one of the planned shapes, whose products are multiplied by `scale`.
    ///
    /// # Errors
    /// Those of [`PackedMatrix::pack`].
    pub(super) fn linear(&self, n: usize, k: usize, weights: &[i8], scale: f32) -> Result<Linear> {
        let weights = PackedMatrix::pack(self.planner.layout(), n, k, weights)?.with_scale(scale);
        let Planned { decode, prefill } = &self.shapes[&(n, k)];
        Ok(Linear { weights, decode: decode.1.clone(), prefill: prefill.1.clone() })
    }
}

/// y = scale · W x, for a ternary matrix W.
#[derive(Debug)]
pub(super) struct Linear {
    weights: PackedMatrix,
    decode: Gemm,
    prefill: Gemm,
}

impl Linear {
    /// Output features.
    pub(super) fn n(&self) -> usize {
        self.weights.n()
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
        let gemm = if acts.tokens() == 1 { &self.decode } else { &self.prefill };
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
