//! Linear layers: packed ternary weights with the micro-kernels planned for their shape, exact
//! ternary weights, or floats.

use std::sync::Arc;

use tercet_autotune::Sharing;
use tercet_codegen::{Activations, ColumnsMut, Gemm, Layout, PackedMatrix};

use super::columns::{self, ColumnLayer};
use super::dense::DenseMatrix;
use super::exact::ExactMatrix;
use super::input::Form;
use super::norm::Norm;
use super::rivals::Rivals;
use super::rows::RowLayer;
use crate::packed::PartKind;
use crate::pool::{self, Team};
use crate::runtime::ActivationType;
use tercet_formats::StoredFloats;

/// The numbers of tokens that kernels are planned for, each with the name of its use.
pub const PLANNED_TOKENS: [(&str, usize); 4] =
    [("decode", 1), ("pair", 2), ("few", 8), ("prefill", MANY_TOKENS)];

/// The tokens for which kernels of long prompts are planned.
pub(super) const MANY_TOKENS: usize = 128;

/// Returns the index in [`PLANNED_TOKENS`] that fits `tokens` tokens best.
pub(super) fn planned_for(tokens: usize) -> usize {
    match tokens {
        0..=1 => 0,
        2 => 1,
        3..=16 => 2,
        _ => 3,
    }
}

/// y = W x, for a matrix W.
#[derive(Debug)]
pub(super) struct Linear {
    /// The layer's own norm of its input.
    pub(super) norm: Option<Norm>,
    pub(super) weights: Weights,
}

#[derive(Debug)]
pub(super) enum Weights {
    /// Multiplies integers. Has a kernel for each of [`PLANNED_TOKENS`].
    Packed(PackedMatrix, [(Arc<Rivals<Gemm>>, Sharing); PLANNED_TOKENS.len()]),
    /// Multiplies integers, and skips columns.
    Columns(ColumnLayer),
    /// Multiplies integers, and skips rows.
    Rows(RowLayer),
    /// Multiplies floats, rounded in this way.
    Exact(ExactMatrix, ActivationType),
    /// Multiplies floats that are not rounded, in both modes.
    Dense(DenseMatrix),
}

impl Linear {
    /// Returns the number of output features.
    pub(super) fn n(&self) -> usize {
        match &self.weights {
            Weights::Packed(weights, _) => weights.n(),
            Weights::Columns(layer) => layer.weights.n(),
            Weights::Rows(layer) => layer.weights.n(),
            Weights::Exact(weights, _) => weights.n(),
            Weights::Dense(weights) => weights.n(),
        }
    }

    /// Returns the layer with n × k floats.
    pub(super) fn dense(shape: (usize, usize), weights: StoredFloats) -> Self {
        Linear { norm: None, weights: Weights::Dense(DenseMatrix::new(shape, weights)) }
    }

    /// Returns the number of input features.
    pub(super) fn k(&self) -> usize {
        match &self.weights {
            Weights::Packed(weights, _) => weights.k(),
            Weights::Columns(layer) => layer.weights.k(),
            Weights::Rows(layer) => layer.weights.k(),
            Weights::Exact(weights, _) => weights.k(),
            Weights::Dense(weights) => weights.k(),
        }
    }

    /// Returns the scale that all weights share, if there is one.
    pub(super) fn scale(&self) -> Option<f32> {
        match &self.weights {
            Weights::Packed(weights, _) => weights.group_size().is_none().then(|| weights.scale()),
            Weights::Columns(layer) => Some(layer.weights.scale()),
            Weights::Rows(layer) => Some(layer.weights.scale()),
            Weights::Exact(weights, _) => weights.scale(),
            Weights::Dense(_) => None,
        }
    }

    /// Returns the weights that stay in the model's file, if the layer multiplies by floats.
    pub(super) fn floats(&self) -> Option<&StoredFloats> {
        match &self.weights {
            Weights::Dense(weights) => Some(weights.floats()),
            Weights::Packed(..) | Weights::Columns(_) | Weights::Rows(_) | Weights::Exact(..) => None,
        }
    }

    /// Returns the packed weights, to be stored, if there are any.
    pub(super) fn packed_weights(&self) -> Option<PartKind<'_>> {
        match &self.weights {
            Weights::Packed(weights, _) => Some(PartKind::Matrix(weights)),
            Weights::Columns(layer) => Some(PartKind::Columns(&layer.weights)),
            Weights::Rows(layer) => Some(PartKind::Rows(&layer.weights)),
            Weights::Exact(..) | Weights::Dense(_) => None,
        }
    }

    /// Returns the bytes of the weights.
    pub(super) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Packed(weights, _) => weights.bytes(),
            Weights::Columns(layer) => layer.weights.bytes(),
            Weights::Rows(layer) => layer.weights.bytes(),
            Weights::Exact(weights, _) => weights.bytes(),
            Weights::Dense(weights) => weights.bytes(),
        }
    }

    /// Returns the form of its input.
    pub(super) fn form(&self) -> Form {
        match &self.weights {
            Weights::Packed(weights, _) => Form::Integers(weights.group_size().unwrap_or(weights.k())),
            Weights::Columns(layer) => Form::Integers(layer.weights.k()),
            Weights::Rows(layer) => Form::Integers(layer.weights.k()),
            Weights::Exact(weights, ActivationType::Int8) => Form::Floats(Some(weights.group_size())),
            Weights::Exact(_, ActivationType::F32) | Weights::Dense(_) => Form::Floats(None),
        }
    }

    /// Writes the k weights of a row to `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.weights {
            Weights::Packed(weights, _) => weights.read_row(row, out),
            Weights::Columns(layer) => layer.read_row(row, out),
            Weights::Rows(layer) => layer.read_row(row, out),
            Weights::Exact(weights, _) => weights.read_row(row, out),
            Weights::Dense(weights) => weights.read_row(row, out),
        }
    }

    /// Returns true if the layer shares no job of the pool with other layers.
    pub(super) fn works_alone(&self) -> bool {
        matches!(self.weights, Weights::Columns(_) | Weights::Rows(_))
    }

    /// Returns the layer that computes only rows with a positive gate, if that is faster for this number of tokens.
    pub(super) fn gated(&self, tokens: usize) -> Option<&RowLayer> {
        match &self.weights {
            Weights::Rows(layer) if planned_for(tokens) < planned_for(usize::MAX) => Some(layer),
            _ => None,
        }
    }

    /// Multiplies every token of `acts` with each layer's weights, in one job of the pool.
    ///
    /// The products go to the start of the layer's output, token-major.
    ///
    /// # Panics
    /// If a layer does not read integers, the activations are not k wide, or an output holds fewer than
    /// tokens × n, or a layer [works alone](Linear::works_alone) and is not the only one.
    pub(super) fn apply<const N: usize>(
        layers: [(&Linear, &mut [f32]); N],
        team: Team<'_>,
        acts: &Activations,
        scratch: &mut columns::Scratch,
    ) {
        scratch.skipped_bytes = 0;
        let mut layers = layers;
        if let [(linear, out)] = &mut layers[..] {
            match &linear.weights {
                Weights::Columns(layer) => return layer.multiply(team, acts, scratch, out),
                Weights::Rows(layer) => return layer.multiply(team, acts, out),
                _ => {}
            }
        }
        let planned = planned_for(acts.tokens());
        let mut task_kib = usize::MAX;
        let weights = layers.each_ref().map(|(linear, _)| match &linear.weights {
            Weights::Packed(weights, kernels) => {
                let (rivals, sharing) = &kernels[planned];
                task_kib = task_kib.min(sharing.task_kib);
                (&**rivals, weights)
            }
            _ => panic!("the layer multiplies floats, or works alone"),
        });
        multiply(team, task_kib, weights, acts, layers.map(|(_, out)| out));
    }

    /// Multiplies every token of `x` with each layer's weights. The products go to the start of its
    /// output, token-major.
    ///
    /// # Panics
    /// If a layer does not read floats, or an output holds fewer than tokens × n.
    pub(super) fn apply_floats<const N: usize>(
        layers: [(&Linear, &mut [f32]); N],
        team: Team<'_>,
        x: &[f64],
    ) {
        for (linear, out) in layers {
            match &linear.weights {
                Weights::Packed(..) | Weights::Columns(_) | Weights::Rows(_) => {
                    panic!("a packed layer multiplies integers")
                }
                Weights::Exact(weights, _) => weights.multiply(team, x, out),
                Weights::Dense(weights) => weights.multiply(team, x, out),
            }
        }
    }
}

/// Multiplies every token of `acts` with each of `weights`, in one job of the pool.
///
/// The products go to the start of the matrix's output, token-major. A task has about `task_kib` KiB of
/// weights.
///
/// # Panics
/// - If the activations are not k wide or have other groups than the weights.
/// - If an output holds fewer than tokens × n.
/// - If a kernel has another layout or epilogue than its weights.
/// - If the matrices differ in layout.
pub(crate) fn multiply<const N: usize>(
    team: Team<'_>,
    task_kib: usize,
    weights: [(&Rivals<Gemm>, &PackedMatrix); N],
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
    let shapes = weights.map(|(_, weights)| (weights.n(), weights.k()));
    let grain = grain(layout, shapes, Sharing { threads: team.threads(), task_kib });
    let tile = weights.iter().map(|(rivals, _)| rivals.first().spec().tile.nr).max().unwrap_or(1);
    let look = pool::between_looks(tokens, weights[0].1.k(), tile.next_multiple_of(layout.block_rows()));
    pool::for_columns_of(team, outs, grain, look, |which, columns| {
        let (rivals, weights) = weights[which];
        rivals.race(tokens * columns.columns().len() * weights.k(), |gemm| match weights.group_size() {
            None => gemm.compute(weights, acts, columns),
            Some(_) => gemm.compute_groups(weights, acts, columns),
        });
    });
}

/// Returns the rows per task, a multiple of the row block.
///
/// Each thread gets a few tasks, and all threads get about the same work. A single thread gets one task.
fn grain<const N: usize>(layout: Layout, shapes: [(usize, usize); N], sharing: Sharing) -> usize {
    const TASKS_PER_THREAD: usize = 4;
    let Sharing { threads, task_kib } = sharing;
    let blocks = shapes.map(|(n, _)| layout.row_blocks(n));
    let all: usize = blocks.iter().sum();
    if threads == 1 {
        return all * layout.block_rows();
    }
    let row_block = shapes.iter().map(|&(_, k)| layout.bytes(layout.block_rows(), k)).max().unwrap_or(1);
    let most = ((task_kib << 10) / row_block).clamp(1, all.div_ceil(threads * TASKS_PER_THREAD).max(1));
    let tasks = |size: usize| blocks.iter().map(|blocks| blocks.div_ceil(size)).sum::<usize>();
    let of_the_busiest = |size: &usize| tasks(*size).div_ceil(threads) * size;
    // Of the sizes that give the busiest thread the least work, the largest.
    (1..=most).rev().min_by_key(of_the_busiest).unwrap_or(1) * layout.block_rows()
}

#[cfg(test)]
mod tests {
    use tercet_autotune::Problem;
    use tercet_codegen::Packing;

    use super::*;
    use crate::model::random_trits;
    use crate::runtime::{Runtime, RuntimeOptions};

    #[test]
    fn either_rival_gives_the_same_bits() {
        let (n, k, m, threads) = (192, 320, 20, 2);
        let runtime = Runtime::new(&RuntimeOptions { threads: Some(threads), ..RuntimeOptions::default() });
        let (planner, pool) = (runtime.planner(), pool::start(threads).unwrap());
        let specs = planner.candidates(&Problem { n, k, m, threads });
        assert!(specs[0].micro_kernel() != specs[1].micro_kernel());
        let gemm = |spec| Gemm::new(runtime.kernels(), spec).unwrap();
        let rivals = Rivals::new(gemm(specs[0]), Some(gemm(specs[1])));
        let weights = PackedMatrix::pack(planner.layout(), n, k, &random_trits(n * k, 3)).unwrap();
        let mut acts = Activations::with_capacity(m, k);
        for (token, mut row) in acts.rows_mut().enumerate() {
            row.set(|values| {
                values
                    .iter_mut()
                    .zip(0..)
                    .for_each(|(value, at)| *value = ((31 * token + 17 * at) % 255) as i8);
                0.5
            });
        }
        let product = |rivals: &Rivals<Gemm>| {
            let mut out = vec![f32::NAN; m * n];
            multiply(Team::new(&pool), 64, [(rivals, &weights)], &acts, [&mut out]);
            out
        };
        let expected = product(&Rivals::alone(gemm(specs[0])));
        (0..300).for_each(|_| assert!(product(&rivals) == expected));
    }

    #[test]
    fn all_threads_get_about_the_same_work() {
        let layout = Layout { packing: Packing::Trits5, interleave: 4 };
        let grain = |shapes: &[(usize, usize)], threads| match *shapes {
            [a] => grain(layout, [a], Sharing::by_rule(threads)),
            [a, b] => grain(layout, [a, b], Sharing::by_rule(threads)),
            _ => unreachable!(),
        };
        // 27 tasks of 4 row blocks would give 14 to one thread and 13 to the other.
        assert_eq!(grain(&[(6912, 2560)], 2), 3 * 64);
        assert_eq!(grain(&[(640, 2560)], 2), 64);
        assert_eq!(grain(&[(6912, 2560), (6912, 2560)], 2), 4 * 64);
        assert_eq!(grain(&[(6912, 2560)], 1), 6912);
        assert_eq!(grain(&[(16, 2560)], 8), 64);
    }
}
