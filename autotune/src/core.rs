//! What is known of cores beyond their instruction sets, as far as plans by rule depend on it.

use tercet_codegen::Cpu;

/// Habits of a core; the default is for one of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Core {
    /// Vector operations per dot product that cost no time, because dot products leave units for them.
    pub(crate) spare: f64,
    /// Vector operations that take as long as looking one code up in tables.
    pub(crate) look_up: f64,
    /// Steps of k in a turn of the loop, for a few tokens.
    pub(crate) few_unroll: usize,
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
        // Slower than extraction, until measured.
        look_up: 8.0,
        few_unroll: 1,
        streaming_prefetch: 0,
        telescoping_prefetch: 4096,
        few_prefetch: 0,
        many_prefetch: 0,
    };
    /// Permutations of bytes are one operation.
    const ZEN_4: Core = Core { look_up: 3.0, few_unroll: 4, ..Self::UNKNOWN };
    /// Dot products take two of four vector units.
    const ZEN_5: Core = Core {
        spare: 1.0,
        look_up: Self::UNKNOWN.look_up,
        few_unroll: 1,
        streaming_prefetch: 8192,
        telescoping_prefetch: 8192,
        few_prefetch: 4096,
        many_prefetch: 2048,
    };

    pub(crate) fn of(cpu: &Cpu) -> Self {
        match (cpu.vendor.as_str(), cpu.family) {
            // Family 25 is Zen 3 too, which has none of AVX-512.
            ("AuthenticAMD", 25) => Self::ZEN_4,
            ("AuthenticAMD", 26) => Self::ZEN_5,
            _ => Self::UNKNOWN,
        }
    }
}

impl Default for Core {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
