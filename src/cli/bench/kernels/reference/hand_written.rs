//! One kernel for each vector level.

use tercet_codegen::{Isa, Packing};
pub(in crate::cli::bench::kernels) use tercet_kernels_ref::intrinsics::Activations;
use tercet_kernels_ref::intrinsics::{Level, Packed, gemm};
use tercet_pool::Pool;

use super::PREFIX;
use crate::cli::bench::kernels::contest::Copies;

/// A level's kernel with its weights.
pub(in crate::cli::bench::kernels) struct HandWritten {
    isa: Isa,
    weights: Copies<Packed>,
    n: usize,
}

/// Activations as these kernels read them.
pub(in crate::cli::bench::kernels) fn activations(acts: &[i8], m: usize, k: usize) -> Activations {
    Activations::new(acts, m, k)
}

impl HandWritten {
    /// What they read.
    pub(in crate::cli::bench::kernels) const PACKING: Packing = Packing::Bits2;

    /// Those that this CPU runs, up to `cap`, each with `budget` bytes of weights.
    pub(in crate::cli::bench::kernels) fn all(
        pool: &Pool,
        cap: Isa,
        (n, k): (usize, usize),
        trits: &[i8],
        budget: usize,
    ) -> Vec<Self> {
        let levels = Level::available().into_iter().filter(|&level| isa(level).is_within(cap));
        let all = levels.map(|level| {
            let weights = Copies::new(pool, budget, Packed::size_bytes, || Packed::new(level, trits, n, k));
            HandWritten { isa: isa(level), weights, n }
        });
        all.collect()
    }

    pub(in crate::cli::bench::kernels) fn name(&self) -> String {
        format!("{PREFIX}{}", self.isa)
    }

    /// Packed weights that a product reads.
    pub(in crate::cli::bench::kernels) fn bytes(&self) -> usize {
        self.weights.next().size_bytes()
    }

    /// Leaves the integer products with the next copy of the weights in `out`.
    pub(in crate::cli::bench::kernels) fn multiply(&self, acts: &Activations, out: &mut [i32]) {
        gemm(self.weights.next(), acts, 0..self.n, out);
    }
}

fn isa(level: Level) -> Isa {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Vnni => Isa::Avx512Vnni,
        #[cfg(target_arch = "x86_64")]
        Level::AvxVnni => Isa::AvxVnni,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Isa::Avx2,
        #[cfg(target_arch = "aarch64")]
        Level::NeonDot => Isa::NeonDot,
    }
}
