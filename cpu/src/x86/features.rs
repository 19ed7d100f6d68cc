//! The table of x86 features.

use raw_cpuid::{CpuId, CpuIdReader, ExtendedFeatures, FeatureInfo};

use crate::dump::Leaves;

/// XCR0 states that the operating system must enable for a feature's registers (SDM volume 1, 13.1, 14.3, 15.2).
const NONE: u64 = 0;
/// SSE and AVX state.
const YMM: u64 = 0b110;
/// YMM, and opmask, upper halves of zmm0–15, and zmm16–31.
const ZMM: u64 = YMM | 0b111 << 5;
/// AMX tile configuration and tile data.
const TILE: u64 = 0b11 << 17;

/// The place of a feature's bit.
enum Place {
    /// Leaf 1.
    Basic(fn(&FeatureInfo) -> bool),
    /// Leaf 7.
    Extended(fn(&ExtendedFeatures) -> bool),
    /// A bit that raw-cpuid does not decode: subleaf of leaf 7, register and index.
    Bit(u32, usize, u32),
}

use Place::{Basic, Bit, Extended};

const EAX: usize = 0;
const EDX: usize = 3;

/// The known features: name, place of the bit, and the XCR0 states that they need.
const FEATURES: [(&str, Place, u64); 35] = [
    ("ssse3", Basic(FeatureInfo::has_ssse3), NONE),
    ("sse4_1", Basic(FeatureInfo::has_sse41), NONE),
    ("sse4_2", Basic(FeatureInfo::has_sse42), NONE),
    ("popcnt", Basic(FeatureInfo::has_popcnt), NONE),
    ("avx", Basic(FeatureInfo::has_avx), YMM),
    ("f16c", Basic(FeatureInfo::has_f16c), YMM),
    ("fma", Basic(FeatureInfo::has_fma), YMM),
    ("avx2", Extended(ExtendedFeatures::has_avx2), YMM),
    ("bmi1", Extended(ExtendedFeatures::has_bmi1), NONE),
    ("bmi2", Extended(ExtendedFeatures::has_bmi2), NONE),
    ("gfni", Extended(ExtendedFeatures::has_gfni), NONE),
    ("avx_vnni", Extended(ExtendedFeatures::has_avx_vnni), YMM),
    ("avx_vnni_int8", Extended(ExtendedFeatures::has_avx_vnni_int8), YMM),
    ("avx_vnni_int16", Extended(ExtendedFeatures::has_avx_vnni_int16), YMM),
    ("avx_ne_convert", Extended(ExtendedFeatures::has_avx_ne_convert), YMM),
    ("avx_ifma", Extended(ExtendedFeatures::has_avx_ifma), YMM),
    ("avx512f", Extended(ExtendedFeatures::has_avx512f), ZMM),
    ("avx512dq", Extended(ExtendedFeatures::has_avx512dq), ZMM),
    ("avx512cd", Extended(ExtendedFeatures::has_avx512cd), ZMM),
    ("avx512bw", Extended(ExtendedFeatures::has_avx512bw), ZMM),
    ("avx512vl", Extended(ExtendedFeatures::has_avx512vl), ZMM),
    ("avx512ifma", Extended(ExtendedFeatures::has_avx512_ifma), ZMM),
    ("avx512_vbmi", Extended(ExtendedFeatures::has_avx512vbmi), ZMM),
    ("avx512_vbmi2", Extended(ExtendedFeatures::has_avx512vbmi2), ZMM),
    ("avx512_vnni", Extended(ExtendedFeatures::has_avx512vnni), ZMM),
    ("avx512_bitalg", Extended(ExtendedFeatures::has_avx512bitalg), ZMM),
    ("avx512_vpopcntdq", Extended(ExtendedFeatures::has_avx512vpopcntdq), ZMM),
    ("avx512_bf16", Extended(ExtendedFeatures::has_avx512_bf16), ZMM),
    ("avx512_fp16", Extended(ExtendedFeatures::has_avx512_fp16), ZMM),
    ("avx10", Bit(1, EDX, 19), ZMM),
    ("amx_tile", Extended(ExtendedFeatures::has_amx_tile), TILE),
    ("amx_int8", Extended(ExtendedFeatures::has_amx_int8), TILE),
    ("amx_bf16", Extended(ExtendedFeatures::has_amx_bf16), TILE),
    ("amx_fp16", Bit(1, EAX, 21), TILE),
    ("amx_complex", Bit(1, EDX, 8), TILE),
];

/// Returns the names of the features that the CPU has and whose registers the operating system saves.
pub(super) fn enabled(cpuid: &CpuId<impl CpuIdReader>, leaves: &Leaves) -> Vec<&'static str> {
    let (basic, extended) = (cpuid.get_feature_info(), cpuid.get_extended_feature_info());
    // Without OSXSAVE nobody can read XCR0.
    let has_xcr0 = basic.as_ref().is_some_and(FeatureInfo::has_oxsave);
    let saved = if has_xcr0 { leaves.xcr0 } else { 0 };
    let has = |place: &Place| match place {
        Basic(has) => basic.as_ref().is_some_and(has),
        Extended(has) => extended.as_ref().is_some_and(has),
        Bit(subleaf, register, index) => leaves.get(7, *subleaf)[*register] >> index & 1 == 1,
    };
    let enabled = FEATURES.iter().filter(|(_, place, states)| has(place) && saved & states == *states);
    enabled.map(|(name, ..)| *name).collect()
}
