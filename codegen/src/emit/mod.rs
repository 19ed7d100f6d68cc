//! Emits machine code for validated specs. Each micro-kernel family has one file here, and one row in
//! [`FAMILIES`].

mod aarch64;
pub(crate) mod amx_int8;
mod asm;
pub(crate) mod avx2;
pub(crate) mod avx512_vbmi;
pub(crate) mod avx512_vnni;
pub(crate) mod avx_vnni;
#[cfg(test)]
pub(crate) mod emulator;
pub(crate) mod neon;
pub(crate) mod neon_dot;
pub(crate) mod neon_i8mm;
pub(crate) mod probe;
mod x86;

use std::ops::Range;

use tercet_cpu::DotProduct;

use probe::Loop;

pub use crate::isa::FAMILIES;
use crate::isa::{Architecture, Isa};
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

/// The row of one ISA: every fact about its micro-kernels.
#[derive(Debug)]
pub struct Family {
    /// The instruction set.
    pub isa: Isa,
    /// Name in specs, on the command line and in `TERCET_ISA`.
    pub name: &'static str,
    /// Architecture of the machine code; `None` for the portable family.
    pub architecture: Option<Architecture>,
    /// Features that the kernels use, named as in [`Cpu::features`](tercet_cpu::Cpu::features).
    pub features: &'static [&'static str],
    /// The fastest dot product; `None` for the portable family. It implies the vector width.
    pub dot: Option<DotProduct>,
    /// Whether 16-bit sums are folded into 32-bit sums inside the loop.
    pub folds: bool,
    /// Returns the vector instructions of one dot product with codes of a strategy.
    pub dot_cost: fn(Unpack) -> f64,
    /// Number of vector registers.
    pub registers: usize,
    /// Strategies that the family can emit, for all packings.
    pub unpacks: &'static [Unpack],
    /// The best ternary packing: 1.6-bit where telescoping keeps up with memory bandwidth.
    pub packing: Packing,
    /// Panels in a row block, chosen for the family's widest GEMV tile.
    pub interleave: usize,
    /// Functions that emit the kernels.
    pub(crate) frame: Frame,
}

/// The emitting functions of a family. Families of one architecture get them from its frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Returns the number of vector registers that a spec needs.
    pub(crate) registers_needed: fn(&KernelSpec) -> usize,
    /// Returns the rows of a tile that one turn of the loop computes. A tile that takes several
    /// passes computes a part of its rows in each.
    pub(crate) rows_at_once: fn(&KernelSpec) -> usize,
    /// Emits a validated spec. `None` for the portable family, which is compiled Rust.
    pub(crate) emit: Option<fn(&KernelSpec) -> Emitted>,
    /// Kernels that skip columns and rows, if the family has them.
    pub(crate) sparse: Option<SparseFrame>,
    /// Emits the probes of memory; none for the portable family.
    pub(crate) reads: fn() -> Vec<Loop>,
    /// Emits the probe of dot products.
    pub(crate) dots: Option<fn() -> Loop>,
}

/// The kernels that skip columns or rows: see [`sparse`](crate::sparse).
#[derive(Debug)]
pub(crate) struct SparseFrame {
    /// The most tokens whose sums fit the registers.
    pub(crate) most_tokens: usize,
    /// Emits the kernel that visits listed columns, for a number of tokens.
    pub(crate) visit: fn(usize) -> Emitted,
    /// Emits the kernel that unpacks rows of a strip, for a number of panels in a row block and the rows' digit.
    pub(crate) unpack: fn(usize, usize) -> Emitted,
    /// 32-bit lanes of a vector.
    pub(crate) lanes: usize,
    /// Emits the kernel that multiplies listed rows, for a number of tokens and of blocks in a row.
    pub(crate) dots: fn(usize, usize) -> Emitted,
    /// Emits the kernel that unpacks a panel of rows, for a number of panels in a row block and of blocks in a row.
    pub(crate) unpack_rows: fn(usize, usize) -> Emitted,
}

impl Family {
    /// Returns the strategies that read `packing`: those that the family emits, and unpacking once.
    pub fn strategies(&self, packing: Packing) -> impl Iterator<Item = Unpack> {
        let emitted = self.unpacks.iter().copied();
        emitted.chain([Unpack::Once]).filter(move |unpack| unpack.packings().contains(&packing))
    }
}

/// Returns the family of `isa`.
pub const fn family(isa: Isa) -> &'static Family {
    isa.row()
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
    Ok(family(spec.isa).frame.emit.map(|emit| emit(&spec.micro_kernel())))
}
