//! What is known of cores beyond their instruction sets, as far as plans by rule depend on it.

use tercet_codegen::Cpu;

/// Habits of a core; the default is for one of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Core {
    /// Vector operations per dot product that cost no time, because dot products leave units for them.
    pub(crate) spare: f64,
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
        streaming_prefetch: 0,
        telescoping_prefetch: 4096,
        few_prefetch: 0,
        many_prefetch: 0,
    };
    /// Dot products take two of four vector units.
    const ZEN_5: Core = Core {
        spare: 1.0,
        streaming_prefetch: 8192,
        telescoping_prefetch: 8192,
        few_prefetch: 4096,
        many_prefetch: 2048,
    };

    pub(crate) fn of(cpu: &Cpu) -> Self {
        match (cpu.vendor.as_str(), cpu.family) {
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
