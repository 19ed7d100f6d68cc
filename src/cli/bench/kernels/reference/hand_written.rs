//! The hand-written kernels, one for each vector level.

use tercet_codegen::{Isa, Packing};
pub(in crate::cli::bench::kernels) use tercet_kernels_ref::intrinsics::Activations;
use tercet_kernels_ref::intrinsics::{Level, Packed, gemm};
use tercet_pool::Pool;

use super::PREFIX;
use crate::cli::bench::kernels::contest::Copies;

/// The kernel of a vector level with its weights.
pub(in crate::cli::bench::kernels) struct HandWritten {
    isa: Isa,
    weights: Copies<Packed>,
    n: usize,
}

/// Converts activations to the form of these kernels.
pub(in crate::cli::bench::kernels) fn activations(acts: &[i8], m: usize, k: usize) -> Activations {
    Activations::new(acts, m, k)
}

impl HandWritten {
    /// The packing of their weights.
    pub(in crate::cli::bench::kernels) const PACKING: Packing = Packing::Bits2;

    /// Returns the kernels that this CPU can run, up to `cap`, each with `budget` bytes of weights.
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

    /// Returns the bytes of packed weights that a product reads.
    pub(in crate::cli::bench::kernels) fn bytes(&self) -> usize {
        self.weights.next().size_bytes()
    }

    /// Multiplies the next copy of the weights, and stores the integer sums in `out`.
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
