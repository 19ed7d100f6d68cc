//! From a validated spec to machine code. One file per micro-kernel family, and one line in [`FAMILIES`].

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

/// What one ISA's micro-kernels are made with.
#[derive(Debug)]
pub struct Family {
    /// The instruction set.
    pub isa: Isa,
    /// Vector registers.
    pub registers: usize,
    /// Strategies that the family can emit, over all packings.
    pub unpacks: &'static [Unpack],
    /// The ternary packing that suits: 1.6-bit where telescoping keeps up with the memory.
    pub packing: Packing,
    /// Panels in a row block that suit the family's widest GEMV tile.
    pub interleave: usize,
    /// Vector registers that a spec of this family takes.
    pub(crate) registers_needed: fn(&KernelSpec) -> usize,
    /// Rows of a valid spec's tile that one turn of the loop computes: all, unless they take several passes.
    pub(crate) rows_at_once: fn(&KernelSpec) -> usize,
    /// Emits a validated spec; none for the portable family, which is compiled Rust.
    pub(crate) emit: Option<fn(&KernelSpec) -> Emitted>,
}

impl Family {
    /// The ways to read `packing`: those that the family emits, and unpacking once.
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

/// The family of `isa`.
pub fn family(isa: Isa) -> &'static Family {
    &FAMILIES[isa as usize]
}

/// Machine code that has not been published yet.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// Position-independent code of `extern "sysv64" fn(*mut KernelArgs)`, or of `extern "C"` on AArch64.
    pub code: Vec<u8>,
    /// Offsets and what the code from there on does.
    pub marks: Vec<(usize, String)>,
    /// The unrolled loop over k, with its jump.
    pub loop_body: Range<usize>,
}

/// Emits the code of `spec`, on whatever host.
///
/// # Errors
/// Fails if the spec is not valid, and gives `None` for the portable family, which has no machine code of its own.
pub fn emit(spec: &KernelSpec) -> Result<Option<Emitted>, crate::spec::SpecError> {
    spec.validate()?;
    Ok(family(spec.isa).emit.map(|emit| emit(&spec.micro_kernel())))
}
