//! Ternary linear layers: packed weights and the micro-kernels planned for their shape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tercet_autotune::{Plan, Planner, Problem};
use tercet_codegen::{
    Activations, ColumnsMut, Epilogue, Gemm, KernelCache, KernelSpec, Layout, PackedMatrix,
};

use super::config::Config;
use super::norm::Norm;
use super::weights::Layer;
use crate::error::Result;
use crate::formats::{Scales, Ternary};
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
#[derive(Debug, Default)]
pub struct Kernels {
    /// By n, k and what is stored.
    planned: BTreeMap<(usize, usize, Epilogue), Planned>,
}

impl Kernels {
    /// The shapes (n, k) of a model's ternary matrices.
    pub fn shapes(config: &Config) -> BTreeSet<(usize, usize)> {
        Layer::shapes(config).into_iter().collect()
    }

    /// The plans of every shape (n, k), for each of [`PLANNED_TOKENS`].
    pub fn plans(&self) -> impl Iterator<Item = ((usize, usize), [&Plan; PLANNED_TOKENS.len()])> {
        let planned = self.planned.iter();
        planned.map(|(&(n, k, _), planned)| ((n, k), planned.each_ref().map(|(plan, _)| plan)))
    }
}

/// Packs matrices, and plans and makes the kernels of each new shape.
#[derive(Debug)]
pub(super) struct Packer<'a> {
    planner: Planner,
    cache: &'a KernelCache,
    threads: usize,
    kernels: Mutex<Kernels>,
}

impl<'a> Packer<'a> {
    /// A packer of matrices that `threads` threads will multiply with kernels from `cache`.
    pub(super) fn new(planner: Planner, cache: &'a KernelCache, threads: usize) -> Self {
        Packer { planner, cache, threads, kernels: Mutex::default() }
    }

    /// The kernels of every matrix packed.
    pub(super) fn into_kernels(self) -> Kernels {
        self.kernels.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packs a matrix of n × k weights; its input is normed by `norm`.
    ///
    /// # Errors
    /// Those of [`PackedMatrix::pack`]; fails too if a planned kernel cannot be made.
    pub(super) fn linear(
        &self,
        (n, k): (usize, usize),
        Ternary { trits, scales }: &Ternary,
        norm: Option<Norm>,
    ) -> Result<Linear> {
        let layout = self.layout();
        let weights = match scales {
            Scales::Tensor(scale) => PackedMatrix::pack(layout, n, k, trits)?.with_scale(*scale),
            Scales::Groups { size, values } => {
                PackedMatrix::pack_groups(layout, (n, k), trits, *size, values)?
            }
        };
        self.packed(weights, norm)
    }

    /// The layer with these weights, which are in the planned [layout](Self::layout).
    ///
    /// # Errors
    /// Fails if a planned kernel cannot be made.
    pub(super) fn packed(&self, weights: PackedMatrix, norm: Option<Norm>) -> Result<Linear> {
        let epilogue = match weights.group_size() {
            None => Epilogue::F32,
            Some(_) => Epilogue::I32,
        };
        let gemms = self.planned(weights.n(), weights.k(), epilogue)?.map(|(_, gemm)| gemm);
        Ok(Linear { norm, weights, gemms })
    }

    /// How matrices are packed for the planned kernels.
    pub(super) fn layout(&self) -> Layout {
        self.planner.layout()
    }

    fn planned(&self, n: usize, k: usize, epilogue: Epilogue) -> Result<Planned> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(planned) = kernels.planned.get(&(n, k, epilogue)) {
            return Ok(planned.clone());
        }
        let plan = |m| -> Result<(Plan, Gemm)> {
            let plan = self.planner.plan(&Problem { n, k, m, threads: self.threads });
            let plan = Plan { spec: KernelSpec { epilogue, ..plan.spec }, ..plan };
            Ok((plan, Gemm::new(self.cache, plan.spec)?))
        };
        let [decode, few, prefill] = PLANNED_TOKENS.map(|(_, m)| plan(m));
        let planned = [decode?, few?, prefill?];
        kernels.planned.insert((n, k, epilogue), planned.clone());
        Ok(planned)
    }
}

/// y = W x, for a ternary matrix W and x rounded to integers.
#[derive(Debug)]
pub(super) struct Linear {
    /// What norms the input.
    pub(super) norm: Option<Norm>,
    weights: PackedMatrix,
    gemms: [Gemm; PLANNED_TOKENS.len()],
}

impl Linear {
    /// Output features.
    pub(super) fn n(&self) -> usize {
        self.weights.n()
    }

    /// The packed weights.
    pub(super) fn weights(&self) -> &PackedMatrix {
        &self.weights
    }

    /// Columns of the input that are rounded with a scale of their own.
    pub(super) fn group_size(&self) -> usize {
        self.weights.group_size().unwrap_or(self.weights.k())
    }

    /// Multiplies every token of `acts` with each layer's weights into the start of its output, token-major: one job.
    ///
    /// # Panics
    /// If the activations are not k wide or have other groups, or an output holds fewer than tokens × n.
    pub(super) fn apply<const N: usize>(
        layers: [(&Linear, &mut [f32]); N],
        pool: &tercet_pool::Pool,
        acts: &Activations,
    ) {
        let kernels = planned_for(acts.tokens());
        let weights = layers.each_ref().map(|(linear, _)| (&linear.gemms[kernels], &linear.weights));
        multiply(pool, weights, acts, layers.map(|(_, out)| out));
    }
}

/// Multiplies every token of `acts` with each of `weights` into the start of its output, token-major: one job of the pool.
///
/// # Panics
/// If the activations are not k wide or have other groups, an output holds fewer than tokens × n, a kernel is for another
/// layout or epilogue than its weights, or these differ in layout.
pub(crate) fn multiply<const N: usize>(
    pool: &tercet_pool::Pool,
    weights: [(&Gemm, &PackedMatrix); N],
    acts: &Activations,
    outs: [&mut [f32]; N],
) {
    let (tokens, layout) = (acts.tokens(), weights[0].1.layout());
    assert!(weights.iter().all(|(_, weights)| weights.layout() == layout));
    let mut sizes = weights.iter().map(|(_, weights)| weights.n());
    let outs = outs.map(|out| {
        let n = sizes.next().unwrap_or_default();
        ColumnsMut::new(&mut out[..tokens * n], tokens, n)
    });
    let grain = grain(layout, weights.map(|(_, weights)| (weights.n(), weights.k())), pool.threads());
    pool::for_columns_of(pool, outs, grain, |which, columns| {
        let (gemm, weights) = weights[which];
        match weights.group_size() {
            None => gemm.compute(weights, acts, columns),
            Some(_) => gemm.compute_groups(weights, acts, columns),
        }
    });
}

/// Rows per task: whole row blocks, some microseconds of streaming and a few for each thread, so that a late one costs
/// little. A thread alone streams all.
fn grain<const N: usize>(layout: Layout, shapes: [(usize, usize); N], threads: usize) -> usize {
    const BYTES: usize = 128 << 10;
    const TASKS_PER_THREAD: usize = 4;
    let blocks: usize = shapes.iter().map(|&(n, _)| layout.row_blocks(n)).sum();
    if threads == 1 {
        return blocks * layout.block_rows();
    }
    let row_block = shapes.iter().map(|&(_, k)| layout.bytes(layout.block_rows(), k)).max();
    let few = (BYTES / row_block.unwrap_or(BYTES)).max(1);
    few.min(blocks.div_ceil(threads * TASKS_PER_THREAD)) * layout.block_rows()
}
