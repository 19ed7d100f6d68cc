//! Emits machine code for validated specs. Each micro-kernel family has one file here.

mod aarch64;
mod asm;
mod avx2;
mod avx512_vbmi;
mod avx512_vnni;
mod avx_vnni;
mod neon;
mod neon_dot;
mod neon_i8mm;
pub(crate) mod probe;
mod x86;

use std::ops::Range;

use crate::isa::Isa;
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

/// The family of micro-kernels of one ISA: its limits, its defaults and its emitter.
#[derive(Debug)]
pub struct Family {
    /// The instruction set.
    pub isa: Isa,
    /// Number of vector registers.
    pub registers: usize,
    /// Strategies that the family can emit, for all packings.
    pub unpacks: &'static [Unpack],
    /// The best ternary packing: 1.6-bit where telescoping keeps up with memory bandwidth.
    pub packing: Packing,
    /// Panels in a row block, chosen for the family's widest GEMV tile.
    pub interleave: usize,
    /// Returns the number of vector registers that a spec needs.
    pub(crate) registers_needed: fn(&KernelSpec) -> usize,
    /// Returns the rows of a tile that one turn of the loop computes. A tile that takes several
    /// passes computes a part of its rows in each.
    pub(crate) rows_at_once: fn(&KernelSpec) -> usize,
    /// Emits a validated spec. `None` for the portable family, which is compiled Rust.
    pub(crate) emit: Option<fn(&KernelSpec) -> Emitted>,
}

impl Family {
    /// Returns the strategies that read `packing`: those that the family emits, and unpacking once.
    pub fn strategies(&self, packing: Packing) -> impl Iterator<Item = Unpack> {
        let emitted = self.unpacks.iter().copied();
        emitted.chain([Unpack::Once]).filter(move |unpack| unpack.packings().contains(&packing))
    }
}

/// Every family, in the order of [`Isa::ALL`].
pub static FAMILIES: [Family; 8] = [
    crate::portable::FAMILY,
    avx2::FAMILY,
    avx_vnni::FAMILY,
    avx512_vnni::FAMILY,
    avx512_vbmi::FAMILY,
    neon::FAMILY,
    neon_dot::FAMILY,
    neon_i8mm::FAMILY,
];

/// Returns the family of `isa`.
pub fn family(isa: Isa) -> &'static Family {
    &FAMILIES[isa as usize]
}

/// Machine code that is not in executable memory yet.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// Position-independent code of an `extern "sysv64" fn(*mut KernelArgs)`. On AArch64 it is an
    /// `extern "C"` function.
    pub code: Vec<u8>,
    /// Offsets in the code, each with a note on the code that starts there.
    pub marks: Vec<(usize, String)>,
    /// Offsets of the unrolled loop over k, including its jump.
    pub loop_body: Range<usize>,
}

/// Emits the code of `spec`. The host may have any architecture.
///
/// Returns `None` for the portable family, which has no machine code of its own.
///
/// # Errors
/// Fails if the spec is not valid.
pub fn emit(spec: &KernelSpec) -> Result<Option<Emitted>, crate::spec::SpecError> {
    spec.validate()?;
    Ok(family(spec.isa).emit.map(|emit| emit(&spec.micro_kernel())))
}
