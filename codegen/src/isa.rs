//! Instruction-set levels that micro-kernels are written for.

use std::fmt;
use std::str::FromStr;

/// One instruction-set level, named by the dot-product instruction it stands for.
///
/// The order is the order of preference: a later level is faster where both run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust over the same packed bytes; runs on every CPU.
    Portable,
    /// AVX2: `vpmaddubsw` into 16-bit pair sums, folded to 32 bits before they can overflow.
    Avx2,
    /// AVX-VNNI: VEX-encoded 256-bit `vpdpbusd` (CPUID leaf 7.1), for CPUs without AVX-512.
    AvxVnni,
    /// AVX-512 F + BW + VNNI: EVEX-encoded 512-bit `vpdpbusd`.
    Avx512Vnni,
}

impl Isa {
    /// Every level, slowest first.
    pub const ALL: [Isa; 4] = [Isa::Portable, Isa::Avx2, Isa::AvxVnni, Isa::Avx512Vnni];

    /// The level's name in specs, on the command line and in `TERCET_ISA`.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512Vnni => "avx512-vnni",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`Isa`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown ISA {0:?}: expected one of avx512-vnni, avx-vnni, avx2, portable")]
pub struct UnknownIsa(pub String);

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(name: &str) -> Result<Self, UnknownIsa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name).ok_or_else(|| UnknownIsa(name.to_owned()))
    }
}
