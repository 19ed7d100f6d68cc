//! What CPUID's answers mean (Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E).
//!
//! Everything but [`Leaves::live`] is pure and compiled on every architecture.

use crate::cache::{Cache, CacheKind};
use crate::dump::{Leaves, Registers};
use crate::topology::CoreClass;

const EAX: usize = 0;
const EBX: usize = 1;
const ECX: usize = 2;
const EDX: usize = 3;

/// XCR0 states that the operating system must have enabled for a feature's registers (SDM volume 1, 13.1, 14.3, 15.2).
const NONE: u64 = 0;
/// SSE and AVX state.
const YMM: u64 = 0b110;
/// YMM, and opmask, upper halves of zmm0–15, and zmm16–31.
const ZMM: u64 = YMM | 0b111 << 5;
/// AMX tile configuration and tile data.
const TILE: u64 = 0b11 << 17;

/// The known features: name, leaf, subleaf, register, bit, and the XCR0 states they need.
const FEATURES: [(&str, u32, u32, usize, u32, u64); 35] = [
    ("ssse3", 1, 0, ECX, 9, NONE),
    ("sse4_1", 1, 0, ECX, 19, NONE),
    ("sse4_2", 1, 0, ECX, 20, NONE),
    ("popcnt", 1, 0, ECX, 23, NONE),
    ("avx", 1, 0, ECX, 28, YMM),
    ("f16c", 1, 0, ECX, 29, YMM),
    ("fma", 1, 0, ECX, 12, YMM),
    ("avx2", 7, 0, EBX, 5, YMM),
    ("bmi1", 7, 0, EBX, 3, NONE),
    ("bmi2", 7, 0, EBX, 8, NONE),
    ("gfni", 7, 0, ECX, 8, NONE),
    ("avx_vnni", 7, 1, EAX, 4, YMM),
    ("avx_vnni_int8", 7, 1, EDX, 4, YMM),
    ("avx_vnni_int16", 7, 1, EDX, 10, YMM),
    ("avx_ne_convert", 7, 1, EDX, 5, YMM),
    ("avx_ifma", 7, 1, EAX, 23, YMM),
    ("avx512f", 7, 0, EBX, 16, ZMM),
    ("avx512dq", 7, 0, EBX, 17, ZMM),
    ("avx512cd", 7, 0, EBX, 28, ZMM),
    ("avx512bw", 7, 0, EBX, 30, ZMM),
    ("avx512vl", 7, 0, EBX, 31, ZMM),
    ("avx512ifma", 7, 0, EBX, 21, ZMM),
    ("avx512_vbmi", 7, 0, ECX, 1, ZMM),
    ("avx512_vbmi2", 7, 0, ECX, 6, ZMM),
    ("avx512_vnni", 7, 0, ECX, 11, ZMM),
    ("avx512_bitalg", 7, 0, ECX, 12, ZMM),
    ("avx512_vpopcntdq", 7, 0, ECX, 14, ZMM),
    ("avx512_bf16", 7, 1, EAX, 5, ZMM),
    ("avx512_fp16", 7, 0, EDX, 23, ZMM),
    ("avx10", 7, 1, EDX, 19, ZMM),
    ("amx_tile", 7, 0, EDX, 24, TILE),
    ("amx_int8", 7, 0, EDX, 25, TILE),
    ("amx_bf16", 7, 0, EDX, 22, TILE),
    ("amx_fp16", 7, 1, EAX, 21, TILE),
    ("amx_complex", 7, 1, EDX, 8, TILE),
];

/// The known features that the CPU has and whose registers the operating system saves.
pub(super) fn features(leaves: &Leaves) -> Vec<&'static str> {
    let osxsave = bit(leaves.get(1, 0)[ECX], 27);
    let enabled = if osxsave { leaves.xcr0 } else { 0 };
    FEATURES
        .iter()
        .filter(|&&(_, leaf, subleaf, register, index, states)| {
            bit(leaves.get(leaf, subleaf)[register], index) && enabled & states == states
        })
        .map(|&(name, ..)| name)
        .collect()
}

/// Leaf 0's vendor string.
pub(super) fn vendor(leaves: &Leaves) -> String {
    let [_, ebx, ecx, edx] = leaves.get(0, 0);
    text(&[ebx, edx, ecx])
}

/// The name in leaves 0x80000002 to 0x80000004.
pub(super) fn brand(leaves: &Leaves) -> String {
    let registers = (0x8000_0002..=0x8000_0004).flat_map(|leaf| leaves.get(leaf, 0));
    text(&registers.collect::<Vec<_>>())
}

/// Family, model and stepping, with their extended parts where the base family calls for them.
pub(super) fn signature(leaves: &Leaves) -> (u32, u32, u32) {
    let eax = leaves.get(1, 0)[EAX];
    let base = bits(eax, 8, 4);
    let family = if base == 0xF { base + bits(eax, 20, 8) } else { base };
    let high = if base == 0xF || base == 6 { bits(eax, 16, 4) << 4 } else { 0 };
    (family, high | bits(eax, 4, 4), bits(eax, 0, 4))
}

/// The caches of the core that answered, from leaf 0x8000001D where the CPU has it (AMD), otherwise leaf 4.
pub(super) fn caches(leaves: &Leaves) -> Vec<Cache> {
    let logical = logical_cpus(leaves);
    let of_leaf =
        |leaf| (0..32).map_while(|subleaf| cache(leaves.get(leaf, subleaf), logical)).collect::<Vec<_>>();
    let amd = of_leaf(0x8000_001D);
    if amd.is_empty() { of_leaf(4) } else { amd }
}

fn cache([eax, ebx, ecx, _]: Registers, logical: usize) -> Option<Cache> {
    let kind = match bits(eax, 0, 5) {
        1 => CacheKind::Data,
        2 => CacheKind::Instruction,
        3 => CacheKind::Unified,
        _ => return None,
    };
    let line = bits(ebx, 0, 12) + 1;
    let (partitions, ways, sets) = (bits(ebx, 12, 10) + 1, bits(ebx, 22, 10) + 1, u64::from(ecx) + 1);
    let size = u64::from(line) * u64::from(partitions) * u64::from(ways);
    let addressable = bits(eax, 14, 12) as usize + 1;
    Some(Cache {
        level: bits(eax, 5, 3) as u8,
        kind,
        size: size.saturating_mul(sets),
        line,
        shared_by: addressable.min(logical),
    })
}

/// The class of the core that answered, on CPUs that call themselves hybrid.
pub(super) fn core_class(leaves: &Leaves) -> Option<CoreClass> {
    let hybrid = bit(leaves.get(7, 0)[EDX], 15);
    match bits(leaves.get(0x1A, 0)[EAX], 24, 8) {
        0x40 if hybrid => Some(CoreClass::Performance),
        0x20 if hybrid => Some(CoreClass::Efficiency),
        _ => None,
    }
}

/// Logical CPUs in the package: the widest level of leaf 0x1F or 0xB, otherwise leaf 1's count; at least 1.
pub(super) fn logical_cpus(leaves: &Leaves) -> usize {
    let widest = |leaf| {
        let levels = (0..8).map(|level| leaves.get(leaf, level));
        levels.take_while(|level| bits(level[ECX], 8, 8) != 0).map(|level| bits(level[EBX], 0, 16)).max()
    };
    let [_, ebx, _, edx] = leaves.get(1, 0);
    let multithreaded = bit(edx, 28);
    let counts = [widest(0x1F), widest(0xB), multithreaded.then_some(bits(ebx, 16, 8))];
    counts.into_iter().flatten().find(|&count| count > 0).unwrap_or(1) as usize
}

fn bit(register: u32, index: u32) -> bool {
    bits(register, index, 1) == 1
}

fn bits(register: u32, low: u32, count: u32) -> u32 {
    register >> low & ((1 << count) - 1)
}

/// Registers as little-endian characters up to the first NUL, runs of spaces collapsed.
fn text(registers: &[u32]) -> String {
    let bytes = registers.iter().flat_map(|register| register.to_le_bytes()).take_while(|&byte| byte != 0);
    let text = String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(not(target_arch = "x86_64"))]
impl Leaves {
    /// The empty table: this architecture has no CPUID that kernels are written for.
    pub(super) fn live() -> Leaves {
        Leaves::default()
    }
}

#[cfg(target_arch = "x86_64")]
impl Leaves {
    /// What the core that runs the call answers now. Leaf 3, which old CPUs fill with a serial number, is left out.
    pub(super) fn live() -> Leaves {
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
        let osxsave = bit(leaves.get(1, 0)[ECX], 27);
        if osxsave {
            // SAFETY: OSXSAVE says that the CPU has XSAVE and that the operating system enabled XGETBV.
            leaves.xcr0 = unsafe { std::arch::x86_64::_xgetbv(0) };
        }
        leaves
    }
}

/// The last subleaf worth recording.
#[cfg(target_arch = "x86_64")]
fn last_subleaf(leaf: u32) -> u32 {
    match leaf {
        7 => 2,
        0xB => 2,
        4 | 0x1F | 0x8000_001D | 0x8000_0026 => 5,
        _ => 0,
    }
}

#[cfg(target_arch = "x86_64")]
fn cpuid(leaf: u32, subleaf: u32) -> Registers {
    let answer = std::arch::x86_64::__cpuid_count(leaf, subleaf);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}
