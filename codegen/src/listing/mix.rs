//! Counts of instructions by what they do.

use iced_x86::{Instruction, Mnemonic, OpKind};

/// What an instruction is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dot,
    Vector,
    Load,
    Store,
    Prefetch,
    Scalar,
}

impl Kind {
    pub(super) fn of(instruction: &Instruction) -> Self {
        let register = instruction.op0_register();
        match instruction.mnemonic() {
            Mnemonic::Vpdpbusd | Mnemonic::Vpmaddubsw => Kind::Dot,
            Mnemonic::Prefetcht0 => Kind::Prefetch,
            Mnemonic::Vmovdqu | Mnemonic::Vmovdqu32 if instruction.op0_kind() == OpKind::Memory => {
                Kind::Store
            }
            Mnemonic::Vmovdqu | Mnemonic::Vmovdqu32 | Mnemonic::Vpbroadcastd if reads_memory(instruction) => {
                Kind::Load
            }
            _ if register.is_vector_register() || register.is_k() => Kind::Vector,
            _ => Kind::Scalar,
        }
    }
}

/// Whether a source operand lies in memory.
pub(super) fn reads_memory(instruction: &Instruction) -> bool {
    (1..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory)
}

/// How many instructions do what. All counts but [`memory_operands`](Mix::memory_operands) add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Four-element dot products of bytes, or pair sums of byte products: `vpdpbusd`, `vpmaddubsw`.
    pub dots: usize,
    /// Other vector arithmetic.
    pub vector: usize,
    /// Vector loads and broadcasts from memory.
    pub loads: usize,
    /// Vector stores.
    pub stores: usize,
    /// Software prefetches.
    pub prefetches: usize,
    /// Addresses, counters, jumps, stack frame.
    pub scalar: usize,
    /// Dot products and other vector arithmetic that read an operand from memory.
    pub memory_operands: usize,
}

impl Mix {
    pub(super) fn of(instructions: &[Instruction]) -> Self {
        let mut mix = Mix::default();
        for instruction in instructions {
            let kind = Kind::of(instruction);
            *match kind {
                Kind::Dot => &mut mix.dots,
                Kind::Vector => &mut mix.vector,
                Kind::Load => &mut mix.loads,
                Kind::Store => &mut mix.stores,
                Kind::Prefetch => &mut mix.prefetches,
                Kind::Scalar => &mut mix.scalar,
            } += 1;
            mix.memory_operands +=
                usize::from(matches!(kind, Kind::Dot | Kind::Vector) && reads_memory(instruction));
        }
        mix
    }

    /// All instructions.
    pub fn instructions(&self) -> usize {
        self.dots + self.vector + self.loads + self.stores + self.prefetches + self.scalar
    }

    /// Every count with its name.
    pub fn named(&self) -> [(&'static str, usize); 8] {
        [
            ("dot products", self.dots),
            ("vector arithmetic", self.vector),
            ("loads", self.loads),
            ("stores", self.stores),
            ("prefetches", self.prefetches),
            ("scalar", self.scalar),
            ("total", self.instructions()),
            ("memory operands", self.memory_operands),
        ]
    }
}
