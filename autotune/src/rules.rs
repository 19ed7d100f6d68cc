//! Rules that depend on the core.

use tercet_codegen::{Architecture, Family, Isa, Packing, Unpack, emit};
use tercet_cpu::{Cpu, Habits};

/// Returns the packing for weights if the user asks for none.
///
/// It is the packing that suits the ISA, unless so few threads would spend more time on unpacking than on reading.
pub fn packing_by_rule(isa: Isa, cpu: &Cpu, threads: usize) -> Packing {
    match emit::family(isa).packing {
        Packing::Trits5 if threads < Habits::of(cpu).trits5_threads => Packing::Bits2,
        packing => packing,
    }
}

/// Returns the habits of `cpu` that hold for kernels of `family`.
pub(crate) fn habits(cpu: &Cpu, family: &Family) -> Habits {
    let mut habits = Habits::of(cpu);
    if family.architecture != Some(Architecture::X86_64) {
        // Other kernels have no such prefetches.
        habits.far_prefetch = 0;
    }
    let dot_instructions = (family.dot_cost)(Unpack::Shift);
    if dot_instructions > 1.0 {
        // The other instructions of a dot product take the spare units.
        return Habits { spare: Habits::UNKNOWN.spare, shift: Habits::UNKNOWN.shift, ..habits };
    }
    habits
}
