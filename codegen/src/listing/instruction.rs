//! What listings and bounds want to know of an instruction, of whatever architecture.

/// What an instruction is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Multiplies bytes and adds.
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
    /// Assembly, of a branch without its target.
    pub(super) text: String,
    /// Offset that a branch goes to.
    pub(super) target: Option<usize>,
    pub(super) kind: Kind,
    /// Vectors read from memory; a prefetch counts as one.
    pub(super) loads: usize,
    /// Whether it occupies a multiplier.
    pub(super) multiplies: bool,
    /// Whether it is done by the register renamer.
    pub(super) is_free: bool,
    /// Whether it enters the back end together with the instruction before it.
    pub(super) is_fused: bool,
    /// The register whose old value a dot product adds to.
    pub(super) accumulator: Option<u32>,
    /// Whether it multiplies matrices, not vectors.
    pub(super) is_matrix_product: bool,
}

impl Instruction {
    /// Whether it computes with an operand that it reads from memory.
    pub(super) fn has_memory_operand(&self) -> bool {
        matches!(self.kind, Kind::Dot | Kind::Vector) && self.loads > 0
    }
}
