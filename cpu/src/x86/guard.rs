//! Answers that raw-cpuid decodes without a panic.

use raw_cpuid::{CpuIdReader, CpuIdResult};

use crate::dump::Leaves;

/// Reads a table, and replaces the few values on which raw-cpuid panics.
#[derive(Clone, Copy)]
pub(super) struct Guarded<'a>(pub(super) &'a Leaves);

impl CpuIdReader for Guarded<'_> {
    fn cpuid2(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        let [eax, ebx, mut ecx, edx] = self.0.get(leaf, subleaf);
        match leaf {
            // The number of sets, less one. raw-cpuid adds the one in 32 bits.
            4 | 0x8000_001D => ecx = ecx.min(u32::MAX - 1),
            // The type of a topology level, in the second byte. raw-cpuid knows types up to 5, a die.
            0xB | 0x1F => {
                const DIE: u32 = 5;
                ecx = ecx & 0xFFFF_00FF | (ecx >> 8 & 0xFF).min(DIE) << 8;
            }
            _ => {}
        }
        CpuIdResult { eax, ebx, ecx, edx }
    }
}
