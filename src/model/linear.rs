//! Ternary linear layers: packed weights and the micro-kernels planned for their shape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tercet_autotune::{Plan, Planner, Problem};
use tercet_codegen::{
    Activations, ColumnsMut, Epilogue, Gemm, KernelCache, KernelSpec, Layout, PackedMatrix,
};

use super::config::Config;
use super::grouped::GroupedMatrix;
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

    /// The plans of every shape (n, k), for each of [`PLANNED_TOKENS`]. Where every group of columns has scales of its own,
    /// k is the group's.
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
        match scales {
            Scales::Tensor(scale) => {
                self.packed(PackedMatrix::pack(self.layout(), n, k, trits)?.with_scale(*scale), norm)
            }
            Scales::Groups { size, values } => {
                let grouped = GroupedMatrix::pack(self.layout(), (n, k), trits, *size, values)?;
                let gemms = self.planned(n, *size, Epilogue::I32)?.map(|(_, gemm)| gemm);
                Ok(Linear { norm, weights: Weights::Grouped(grouped), gemms })
            }
        }
    }

    /// The layer with these weights, which are in the planned [layout](Self::layout).
    ///
    /// # Errors
    /// Fails if a planned kernel cannot be made.
    pub(super) fn packed(&self, weights: PackedMatrix, norm: Option<Norm>) -> Result<Linear> {
        let gemms = self.planned(weights.n(), weights.k(), Epilogue::F32)?.map(|(_, gemm)| gemm);
        Ok(Linear { norm, weights: Weights::Whole(weights), gemms })
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
    weights: Weights,
    gemms: [Gemm; PLANNED_TOKENS.len()],
}

#[derive(Debug)]
enum Weights {
    /// One scale for all.
    Whole(PackedMatrix),
    /// A scale for each group of a row.
    Grouped(GroupedMatrix),
}

impl Linear {
    /// Output features.
    pub(super) fn n(&self) -> usize {
        match &self.weights {
            Weights::Whole(weights) => weights.n(),
            Weights::Grouped(weights) => weights.n(),
        }
    }

    /// The packed weights, if they have one scale.
    pub(super) fn whole(&self) -> Option<&PackedMatrix> {
        match &self.weights {
            Weights::Whole(weights) => Some(weights),
            Weights::Grouped(_) => None,
        }
    }

    /// Size of the packed weights.
    pub(super) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Whole(weights) => weights.bytes(),
            Weights::Grouped(weights) => weights.bytes(),
        }
    }

    /// Columns of the input that are rounded with a scale of their own; none if all have one.
    pub(super) fn group_size(&self) -> Option<usize> {
        match &self.weights {
            Weights::Whole(_) => None,
            Weights::Grouped(weights) => Some(weights.size()),
        }
    }

    /// Writes the weights of a row to `out`, k long.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.weights {
            Weights::Whole(weights) => {
                let scale = weights.scale();
                out.iter_mut().zip(weights.row(row)).for_each(|(out, trit)| *out = scale * f32::from(trit));
            }
            Weights::Grouped(weights) => weights.read_row(row, out),
        }
    }

    /// Multiplies every token of `acts`, one matrix for each group of columns, with each layer's weights into the start of its
    /// output, token-major. Layers with one scale are one job.
    ///
    /// # Panics
    /// If the activations are not k wide or an output holds fewer than tokens × n.
    pub(super) fn apply<const N: usize>(
        layers: [(&Linear, &mut [f32]); N],
        pool: &tercet_pool::Pool,
        acts: &[Activations],
    ) {
        let tokens = acts[0].tokens();
        let kernels = planned_for(tokens);
        if layers.iter().all(|(linear, _)| linear.whole().is_some()) {
            let weights = layers.each_ref().map(|(linear, _)| {
                (&linear.gemms[kernels], linear.whole().expect("all layers have one scale"))
            });
            return multiply(pool, weights, &acts[0], layers.map(|(_, out)| out));
        }
        for (linear, out) in layers {
            let (gemm, out) = (&linear.gemms[kernels], &mut out[..tokens * linear.n()]);
            match &linear.weights {
                Weights::Whole(weights) => multiply(pool, [(gemm, weights)], &acts[0], [out]),
                Weights::Grouped(weights) => weights.multiply(pool, gemm, acts, out),
            }
        }
    }
}

/// Multiplies every token of `acts` with each of `weights` into the start of its output, token-major: one job of the pool.
///
/// # Panics
/// If the activations are not k wide, an output holds fewer than tokens × n, a kernel is for another layout than its weights,
/// or these differ in layout.
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
        gemm.compute(weights, acts, columns);
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
