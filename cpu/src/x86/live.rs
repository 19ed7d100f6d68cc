//! The table of this machine.

use raw_cpuid::{CpuId, native_cpuid};

use crate::dump::{Leaves, Registers};

impl Leaves {
    /// Records the answers of the core that runs the call. Leaf 3 is left out: old CPUs give a serial number there.
    pub(crate) fn live() -> Leaves {
        const LAST_KNOWN: u32 = 0x40;
        let mut leaves = Leaves::default();
        for first in [0, 0x8000_0000] {
            let [last, ..] = cpuid(first, 0);
            for leaf in (first..=last.min(first + LAST_KNOWN)).filter(|&leaf| leaf != 3) {
                for subleaf in 0..=last_subleaf(leaf) {
                    let answer = cpuid(leaf, subleaf);
                    if answer != Registers::default() {
                        leaves.insert(leaf, subleaf, answer);
                    }
                }
            }
        }
        if CpuId::new().get_feature_info().is_some_and(|info| info.has_oxsave()) {
            // SAFETY: OSXSAVE says that the CPU has XSAVE and that the operating system enabled XGETBV.
            leaves.xcr0 = unsafe { std::arch::x86_64::_xgetbv(0) };
        }
        leaves
    }
}

/// Returns the last subleaf worth recording.
fn last_subleaf(leaf: u32) -> u32 {
    match leaf {
        7 => 2,
        0xB => 2,
        4 | 0x1F | 0x8000_001D | 0x8000_0026 => 5,
        _ => 0,
    }
}

fn cpuid(leaf: u32, subleaf: u32) -> Registers {
    let answer = native_cpuid::cpuid_count(leaf, subleaf);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}
