//! Counts instructions by purpose.

use super::instruction::{Instruction, Kind};

/// Counts of instructions by purpose. All but [`memory_operands`](Mix::memory_operands) add up to the
/// total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Dot products of bytes, such as `vpdpbusd`, `vpmaddubsw`, `sdot`, `usmmla` and `smlal`.
    pub dots: usize,
    /// Other vector arithmetic.
    pub vector: usize,
    /// Vector loads and broadcasts from memory.
    pub loads: usize,
    /// Vector stores.
    pub stores: usize,
    /// Software prefetches.
    pub prefetches: usize,
    /// Scalar instructions: addresses, counters, jumps and the stack frame.
    pub scalar: usize,
    /// Dot products and other vector arithmetic that read an operand from memory.
    pub memory_operands: usize,
}

impl Mix {
    pub(super) fn of(instructions: &[Instruction]) -> Self {
        let mut mix = Mix::default();
        for instruction in instructions {
            *match instruction.kind {
                Kind::Dot => &mut mix.dots,
                Kind::Vector => &mut mix.vector,
                Kind::Load => &mut mix.loads,
                Kind::Store => &mut mix.stores,
                Kind::Prefetch => &mut mix.prefetches,
                Kind::Scalar => &mut mix.scalar,
            } += 1;
            mix.memory_operands += usize::from(instruction.has_memory_operand());
        }
        mix
    }

    /// Returns the number of all instructions.
    pub fn instructions(&self) -> usize {
        self.dots + self.vector + self.loads + self.stores + self.prefetches + self.scalar
    }

    /// Returns every count with its name.
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
