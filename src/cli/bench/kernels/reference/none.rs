//! A stand-in for architectures without hand-written kernels.

use tercet_codegen::{Isa, Packing};
use tercet_pool::Pool;

/// A type without values.
pub(in crate::cli::bench::kernels) enum HandWritten {}

/// A stand-in for activations.
pub(in crate::cli::bench::kernels) struct Activations;

pub(in crate::cli::bench::kernels) fn activations(_: &[i8], _: usize, _: usize) -> Activations {
    Activations
}

impl HandWritten {
    pub(in crate::cli::bench::kernels) const PACKING: Packing = Packing::Bits2;

    pub(in crate::cli::bench::kernels) fn all(
        _: &Pool,
        _: Isa,
        _: (usize, usize),
        _: &[i8],
        _: usize,
    ) -> Vec<Self> {
        Vec::new()
    }

    pub(in crate::cli::bench::kernels) fn name(&self) -> String {
        match *self {}
    }

    pub(in crate::cli::bench::kernels) fn bytes(&self) -> usize {
        match *self {}
    }

    pub(in crate::cli::bench::kernels) fn multiply(&self, _: &Activations, _: &mut [i32]) {
        match *self {}
    }
}
