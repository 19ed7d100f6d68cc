//! The properties of an instruction that listings and bounds need, for any architecture.

use tercet_cpu::DotProduct;

/// The purpose of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Multiplication and addition of bytes.
    Dot,
    /// Other vector arithmetic.
    Vector,
    Load,
    Store,
    Prefetch,
    Scalar,
}

/// One decoded instruction.
#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub(super) offset: usize,
    pub(super) bytes: usize,
    /// Assembly text. For a branch it lacks the target.
    pub(super) text: String,
    /// Target of a branch, as an offset.
    pub(super) target: Option<usize>,
    pub(super) kind: Kind,
    /// Number of vectors read from memory. A prefetch counts as one.
    pub(super) loads: usize,
    /// True if the instruction occupies a multiplier.
    pub(super) multiplies: bool,
    /// True if the register renamer does the work, so that no unit is occupied.
    pub(super) is_free: bool,
    /// True if the instruction fuses with the one before it, so that both are one operation.
    pub(super) is_fused: bool,
    /// The register that a dot product adds to.
    pub(super) accumulator: Option<u32>,
    /// The dot product that it is.
    pub(super) dot: Option<DotProduct>,
}

impl Instruction {
    /// Returns true if the instruction computes with an operand from memory.
    pub(super) fn has_memory_operand(&self) -> bool {
        matches!(self.kind, Kind::Dot | Kind::Vector) && self.loads > 0
    }
}
