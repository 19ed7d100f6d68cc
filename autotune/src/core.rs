//! What is known of cores beyond their instruction sets, as far as plans by rule depend on it.

use tercet_codegen::{Isa, Packing, emit};
use tercet_cpu::Cpu;

/// How weights are packed if nobody says otherwise: as suits the family, unless so few threads take longer for unpacking than
/// for reading.
pub fn packing_by_rule(isa: Isa, cpu: &Cpu, threads: usize) -> Packing {
    match emit::family(isa).packing {
        Packing::Trits5 if threads < Core::of(cpu, isa).trits5_threads => Packing::Bits2,
        packing => packing,
    }
}

/// Habits of a core; the default is for one of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Core {
    /// Vector operations per dot product that cost no time, because dot products leave units for them.
    pub(crate) spare: f64,
    /// Vector operations that take as long as shifting and masking one code beside dot products.
    pub(crate) shift: f64,
    /// The same for looking one up in tables.
    pub(crate) look_up: f64,
    /// Threads from which on unpacking 1.6-bit weights keeps up with the memory that they share.
    pub(crate) trits5_threads: usize,
    /// Bytes ahead of the weights at which kernels prefetch that read them at the speed of memory.
    pub(crate) streaming_prefetch: usize,
    /// The same where the weights telescope, which spreads their loads.
    pub(crate) telescoping_prefetch: usize,
    /// The same for a few tokens.
    pub(crate) few_prefetch: usize,
    /// The same for many.
    pub(crate) many_prefetch: usize,
}

impl Core {
    const UNKNOWN: Core = Core {
        spare: 0.0,
        shift: 2.0,
        // Slower than extraction, until measured.
        look_up: 8.0,
        trits5_threads: 1,
        streaming_prefetch: 0,
        telescoping_prefetch: 4096,
        few_prefetch: 0,
        many_prefetch: 0,
    };
    /// Streams are read fastest with prefetches that stay near.
    const GOLDEN_COVE: Core =
        Core { streaming_prefetch: 2048, telescoping_prefetch: 2048, few_prefetch: 1024, ..Self::UNKNOWN };
    /// Left to itself, it reads a stream at three quarters of the memory's speed.
    const ZEN_3: Core =
        Core { streaming_prefetch: 8192, few_prefetch: 4096, many_prefetch: 2048, ..Self::UNKNOWN };
    /// Dot products leave units for shifts and masks, but not for permutations and comparisons.
    const ZEN_4: Core = Core {
        shift: 0.25,
        look_up: 3.0,
        trits5_threads: 3,
        few_prefetch: 4096,
        many_prefetch: 2048,
        ..Self::UNKNOWN
    };
    /// Dot products take two of four vector units.
    const ZEN_5: Core = Core {
        spare: 1.0,
        streaming_prefetch: 8192,
        telescoping_prefetch: 8192,
        few_prefetch: 4096,
        many_prefetch: 2048,
        ..Self::UNKNOWN
    };

    /// What is known of `cpu`, as far as it holds for kernels of `isa`.
    pub(crate) fn of(cpu: &Cpu, isa: Isa) -> Self {
        let core = match (cpu.vendor.as_str(), cpu.family) {
            ("AuthenticAMD", 25) if !cpu.features.contains(&"avx512f") => Self::ZEN_3,
            ("AuthenticAMD", 25) => Self::ZEN_4,
            ("AuthenticAMD", 26) => Self::ZEN_5,
            ("GenuineIntel", 6) if cpu.features.contains(&"avx512_fp16") => Self::GOLDEN_COVE,
            _ => Self::UNKNOWN,
        };
        match isa {
            // Pair sums and their additions take the units that dot products leave.
            Isa::Avx2 => Core { spare: Self::UNKNOWN.spare, shift: Self::UNKNOWN.shift, ..core },
            _ => core,
        }
    }
}

impl Default for Core {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
