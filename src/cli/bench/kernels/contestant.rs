//! The kernels of a contest.

use tercet_autotune::tiles;
use tercet_codegen::packing::PANEL_ROWS;
use tercet_codegen::{
    Activations, ColumnsMut, Gemm, Isa, KernelCache, KernelError, KernelSpec, PackedMatrix, Packing,
    Prefetch, Schedule, Tile, emit,
};

use super::contest::Copies;
use super::reference::{self, HandWritten};

/// A kernel with its weights.
pub(super) struct Contestant<'a> {
    pub(super) name: String,
    pub(super) packing: Packing,
    /// True if the planner picks this kernel.
    pub(super) picked: bool,
    /// Bytes of packed weights that a product reads.
    pub(super) bytes: usize,
    pub(super) kernel: Kernel<'a>,
}

pub(super) enum Kernel<'a> {
    Emitted(Gemm, &'a Copies<PackedMatrix>),
    HandWritten(&'a HandWritten),
}

/// The activations and outputs that all kernels share.
pub(super) struct Operands {
    m: usize,
    n: usize,
    acts: Activations,
    acts_by_hand: reference::Activations,
    out: Vec<f32>,
    sums: Vec<i32>,
}

impl Operands {
    /// Prepares `m` tokens of `acts` for weights of n × k.
    pub(super) fn new((n, k): (usize, usize), m: usize, acts: &[i8]) -> Self {
        let acts_by_hand = reference::activations(acts, m, k);
        let mut quantized = Activations::with_capacity(m, k);
        for (mut row, values) in quantized.rows_mut().zip(acts.chunks(k)) {
            row.set(|to| {
                to.copy_from_slice(values);
                1.0
            });
        }
        Operands { m, n, acts: quantized, acts_by_hand, out: vec![0.0; m * n], sums: vec![0; m * n] }
    }
}

impl<'a> Contestant<'a> {
    /// Emits the kernel of `spec`.
    pub(super) fn emitted(
        cache: &KernelCache,
        spec: KernelSpec,
        weights: &'a Copies<PackedMatrix>,
        picked: bool,
    ) -> Result<Self, KernelError> {
        let kernel = Kernel::Emitted(Gemm::new(cache, spec)?, weights);
        let (packing, bytes) = (spec.layout.packing, weights.next().bytes());
        Ok(Contestant { name: spec.to_string(), packing, picked, bytes, kernel })
    }

    /// Computes one product with the next copy of the weights.
    pub(super) fn multiply(&self, operands: &mut Operands) {
        let Operands { m, n, acts, acts_by_hand, out, sums } = operands;
        match &self.kernel {
            Kernel::Emitted(gemm, weights) => {
                gemm.compute(weights.next(), acts, ColumnsMut::new(out.as_mut_slice(), *m, *n));
            }
            Kernel::HandWritten(kernel) => kernel.multiply(acts_by_hand, sums),
        }
    }
}

/// Returns `pick` and its alternatives.
///
/// The alternatives are the largest tiles of every unpacking strategy of the family, with several
/// unrollings. For one token they also differ in prefetch. Portable kernels have no alternatives.
pub(super) fn alternatives(pick: KernelSpec, m: usize) -> Vec<KernelSpec> {
    const TILES: usize = 3;
    let mut specs = vec![pick];
    if pick.isa == Isa::Portable {
        return specs;
    }
    let prefetches = match m {
        1 => &[Prefetch::NONE, Prefetch::near(8192), Prefetch::TWICE][..],
        _ => &[Prefetch::NONE],
    };
    for unpack in emit::family(pick.isa).strategies(pick.layout.packing) {
        for (ku, &prefetch) in [1, 2, 4, 8].into_iter().flat_map(|ku| prefetches.iter().map(move |p| (ku, p)))
        {
            let (tile, schedule) = (Tile { mr: 1, nr: PANEL_ROWS, ku }, Schedule { unpack, prefetch });
            let mut larger: Vec<_> = tiles(KernelSpec { tile, schedule, ..pick }, m).collect();
            larger.sort_by_key(|spec| std::cmp::Reverse(spec.tile.mr * spec.tile.nr));
            specs.extend(larger.into_iter().take(TILES).filter(|spec| *spec != pick));
        }
    }
    specs
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tercet_autotune::{Planner, Problem};

    use super::*;

    #[test]
    fn alternatives_are_legal_and_differ() {
        for (isa, packing) in Isa::ALL.into_iter().flat_map(|isa| Packing::TERNARY.map(|p| (isa, p))) {
            for m in [1, 3, 128] {
                let problem = Problem { n: 640, k: 640, m, threads: 1 };
                let pick = Planner::new(isa, packing).plan(&problem).spec;
                let specs = alternatives(pick, m);
                assert_eq!(specs[0], pick);
                assert_eq!(specs.iter().collect::<HashSet<_>>().len(), specs.len(), "{pick}, m {m}");
                assert!(specs.iter().all(|spec| spec.layout == pick.layout && spec.validate().is_ok()));
                assert_eq!(specs.len() > 1, isa != Isa::Portable, "{pick}");
            }
        }
    }
}
