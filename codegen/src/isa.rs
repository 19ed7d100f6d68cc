//! The table of ISAs: instruction-set levels that micro-kernels are written for.
//!
//! An ISA is one row here and one file in `emit/`, which holds its [`Family`] and emits its kernels.

use std::fmt;

use tercet_cpu::Cpu;

use crate::emit::{Family, amx_int8, avx_vnni, avx2, avx512_vbmi, avx512_vnni, neon, neon_dot, neon_i8mm};
use crate::portable;
use crate::table::table;

table! {
    /// One instruction-set level, named after its dot-product instruction.
    ///
    /// Within an architecture the order is the order of preference: a later level is faster where both run.
    pub enum Isa: Family
    where
        /// Every family, in the order of [`Isa::ALL`].
        table = pub FAMILIES,
        error = UnknownIsa: |name: &str| UnknownIsa(name.to_owned()),
    {
        /// Plain Rust over the same packed bytes; runs on every CPU.
        Portable => portable::FAMILY,
        /// AVX2: `vpmaddubsw` into 16-bit pair sums, folded to 32 bits before they can overflow.
        Avx2 => avx2::FAMILY,
        /// AVX-VNNI: VEX-encoded 256-bit `vpdpbusd` (CPUID leaf 7.1), for CPUs without AVX-512.
        AvxVnni => avx_vnni::FAMILY,
        /// AVX-512 F + BW + VNNI: EVEX-encoded 512-bit `vpdpbusd`.
        Avx512Vnni => avx512_vnni::FAMILY,
        /// The same with VBMI, whose `vpermi2b` looks up bytes in tables of 128.
        Avx512Vbmi => avx512_vbmi::FAMILY,
        /// The same with AMX, whose `tdpbsud` multiplies tiles of bytes. It is for many tokens.
        AmxInt8 => amx_int8::FAMILY,
        /// NEON: `smlal` into 16-bit sums, folded to 32 bits before they can overflow.
        Neon => neon::FAMILY,
        /// NEON with `sdot` (ARMv8.2 dotprod).
        NeonDot => neon_dot::FAMILY,
        /// NEON with `sdot` and the matrix product `usmmla` (I8MM).
        NeonI8mm => neon_i8mm::FAMILY,
    }
}

/// The architecture of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64, also called AMD64.
    X86_64,
    /// AArch64, also called ARM64.
    Aarch64,
}

impl Architecture {
    /// The architecture of this program; `None` if no machine code is emitted for it.
    pub const HOST: Option<Architecture> = if cfg!(target_arch = "x86_64") {
        Some(Architecture::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Architecture::Aarch64)
    } else {
        None
    };
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Architecture::X86_64 => "x86-64",
            Architecture::Aarch64 => "AArch64",
        })
    }
}

impl Isa {
    /// Returns the architecture of the machine code; `None` for the portable level.
    pub const fn architecture(self) -> Option<Architecture> {
        self.row().architecture
    }

    /// Returns true if kernels of this level run on `cpu`.
    pub fn runs_on(self, cpu: &Cpu) -> bool {
        self.row().features.iter().all(|feature| cpu.has(feature))
    }

    /// Returns the levels that `cpu` runs, the fastest first. The last is always [`Isa::Portable`].
    pub fn available(cpu: &Cpu) -> Vec<Isa> {
        Isa::ALL.into_iter().rev().filter(|isa| isa.runs_on(cpu)).collect()
    }

    /// Returns the fastest level that `cpu` runs.
    pub fn best(cpu: &Cpu) -> Isa {
        Isa::ALL.into_iter().rev().find(|isa| isa.runs_on(cpu)).unwrap_or(Isa::Portable)
    }

    /// Names the kind of machine in tuning records: [`Cpu::fingerprint`] with the levels that it runs.
    pub fn fingerprint(cpu: &Cpu) -> String {
        let levels: Vec<&str> = Isa::available(cpu).into_iter().map(Isa::name).collect();
        cpu.fingerprint(&levels.join("+"))
    }

    /// Returns true if this level is allowed under the cap `cap`: it is portable, or of the same architecture and no
    /// better.
    pub fn is_within(self, cap: Isa) -> bool {
        self == Isa::Portable || self.architecture() == cap.architecture() && self <= cap
    }
}

/// An unknown ISA name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown ISA {0:?}: expected one of {names}", names = Isa::ALL.map(Isa::name).join(", "))]
pub struct UnknownIsa(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_lets_its_own_architecture_pass_up_to_itself() {
        use Isa::{AmxInt8, Avx2, Avx512Vbmi, Avx512Vnni, AvxVnni, Neon, NeonDot, NeonI8mm, Portable};
        let within = |cap: Isa| Isa::ALL.into_iter().filter(|isa| isa.is_within(cap)).collect::<Vec<_>>();
        assert_eq!(within(AmxInt8), [Portable, Avx2, AvxVnni, Avx512Vnni, Avx512Vbmi, AmxInt8]);
        assert_eq!(within(Avx512Vbmi), [Portable, Avx2, AvxVnni, Avx512Vnni, Avx512Vbmi]);
        assert_eq!(within(Avx512Vnni), [Portable, Avx2, AvxVnni, Avx512Vnni]);
        assert_eq!(within(AvxVnni), [Portable, Avx2, AvxVnni]);
        assert_eq!(within(NeonI8mm), [Portable, Neon, NeonDot, NeonI8mm]);
        assert_eq!(within(Neon), [Portable, Neon]);
        assert_eq!(within(Portable), [Portable]);
    }

    #[test]
    fn rows_are_in_the_order_of_the_variants() {
        for (family, isa) in FAMILIES.iter().zip(Isa::ALL) {
            assert_eq!(family.isa, isa);
            assert_eq!(family.dot.is_some(), family.architecture.is_some(), "{isa}");
            assert_eq!(family.features.is_empty(), family.architecture.is_none(), "{isa}");
        }
    }

    #[test]
    fn every_host_runs_the_portable_level_and_has_a_fingerprint() {
        let cpu = Cpu::host();
        assert!(Isa::Portable.runs_on(cpu) && cpu.logical > 0);
        assert_eq!(Isa::fingerprint(cpu), Isa::fingerprint(&Cpu::probe()));
    }

    #[test]
    fn names_read_back_and_others_are_told_what_there_is() {
        assert!(Isa::ALL.into_iter().all(|isa| isa.name().parse() == Ok(isa)));
        let error = "neon-sve".parse::<Isa>().unwrap_err().to_string();
        assert!(Isa::ALL.iter().all(|isa| error.contains(isa.name())), "{error}");
    }
}
