//! Instruction-set levels that micro-kernels are written for.

use std::fmt;
use std::str::FromStr;

use tercet_cpu::Cpu;

/// One instruction-set level, named by the dot-product instruction it stands for.
///
/// Within an architecture the order is the order of preference: a later level is faster where both run.
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
    /// The same with VBMI, whose `vpermi2b` looks up bytes in tables of 128.
    Avx512Vbmi,
    /// NEON: `smlal` into 16-bit sums, folded to 32 bits before they can overflow.
    Neon,
    /// NEON with `sdot` (ARMv8.2 dotprod).
    NeonDot,
    /// NEON with `sdot` and the matrix product `usmmla` (I8MM).
    NeonI8mm,
}

/// What kind of CPU executes machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64, also called AMD64.
    X86_64,
    /// AArch64, also called ARM64.
    Aarch64,
}

impl Architecture {
    /// What this program was compiled for; none if no machine code is emitted for it.
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
    /// Every level; of each architecture the slowest first.
    pub const ALL: [Isa; 8] = [
        Isa::Portable,
        Isa::Avx2,
        Isa::AvxVnni,
        Isa::Avx512Vnni,
        Isa::Avx512Vbmi,
        Isa::Neon,
        Isa::NeonDot,
        Isa::NeonI8mm,
    ];

    /// The level's name in specs, on the command line and in `TERCET_ISA`.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512Vnni => "avx512-vnni",
            Isa::Avx512Vbmi => "avx512-vbmi",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon-dot",
            Isa::NeonI8mm => "neon-i8mm",
        }
    }

    /// Whose machine code it is; none for the portable level, which is every CPU's.
    pub const fn architecture(self) -> Option<Architecture> {
        match self {
            Isa::Portable => None,
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni | Isa::Avx512Vbmi => Some(Architecture::X86_64),
            Isa::Neon | Isa::NeonDot | Isa::NeonI8mm => Some(Architecture::Aarch64),
        }
    }

    /// Returns the features that kernels of this level use, named as in [`Cpu::features`].
    const fn required_features(self) -> &'static [&'static str] {
        match self {
            Isa::Portable => &[],
            Isa::Avx2 => &["avx", "avx2"],
            Isa::AvxVnni => &["avx", "avx2", "avx_vnni"],
            Isa::Avx512Vnni => &["avx512f", "avx512bw", "avx512vl", "avx512_vnni"],
            Isa::Avx512Vbmi => &["avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_vbmi"],
            Isa::Neon => &["asimd"],
            Isa::NeonDot => &["asimd", "asimddp"],
            Isa::NeonI8mm => &["asimd", "asimddp", "i8mm"],
        }
    }

    /// Returns true if kernels of this level run on `cpu`.
    pub fn runs_on(self, cpu: &Cpu) -> bool {
        self.required_features().iter().all(|feature| cpu.has(feature))
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

    /// Whether someone who wants at most `cap` may get this level: one of the same architecture that is no better, or
    /// the portable one.
    pub fn is_within(self, cap: Isa) -> bool {
        self == Isa::Portable || self.architecture() == cap.architecture() && self <= cap
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`Isa`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown ISA {0:?}: expected one of {names}", names = Isa::ALL.map(Isa::name).join(", "))]
pub struct UnknownIsa(pub String);

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(name: &str) -> Result<Self, UnknownIsa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name).ok_or_else(|| UnknownIsa(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_lets_its_own_architecture_pass_up_to_itself() {
        use Isa::{Avx2, Avx512Vbmi, Avx512Vnni, AvxVnni, Neon, NeonDot, NeonI8mm, Portable};
        let within = |cap: Isa| Isa::ALL.into_iter().filter(|isa| isa.is_within(cap)).collect::<Vec<_>>();
        assert_eq!(within(Avx512Vbmi), [Portable, Avx2, AvxVnni, Avx512Vnni, Avx512Vbmi]);
        assert_eq!(within(Avx512Vnni), [Portable, Avx2, AvxVnni, Avx512Vnni]);
        assert_eq!(within(AvxVnni), [Portable, Avx2, AvxVnni]);
        assert_eq!(within(NeonI8mm), [Portable, Neon, NeonDot, NeonI8mm]);
        assert_eq!(within(Neon), [Portable, Neon]);
        assert_eq!(within(Portable), [Portable]);
    }

    #[test]
    fn names_read_back_and_others_are_told_what_there_is() {
        assert!(Isa::ALL.into_iter().all(|isa| isa.name().parse() == Ok(isa)));
        let error = "neon-sve".parse::<Isa>().unwrap_err().to_string();
        assert!(Isa::ALL.iter().all(|isa| error.contains(isa.name())), "{error}");
    }
}
