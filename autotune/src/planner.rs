//! Plans: the kernel for a problem, and why.

use std::sync::Arc;

use tercet_codegen::{Epilogue, Family, Isa, KernelSpec, Layout, Packing, Schedule, Tile, Unpack, emit};
use tercet_cpu::Cpu;

use crate::candidates::{self, tiles};
use crate::core::Core;
use crate::records::{Key, Records};
use crate::sharing::Sharing;

/// A product Y = X·Wᵀ in BLAS terms: X is m × k activations, W n × k weights, Y m × n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Output features.
    pub n: usize,
    /// Input features.
    pub k: usize,
    /// Tokens: 1 when decoding.
    pub m: usize,
    /// Threads that share the product.
    pub threads: usize,
}

impl Problem {
    /// Numbers of tokens that share a record: m rounded up to a power of two, at most 128.
    pub fn m_bucket(&self) -> usize {
        const MOST: usize = 128;
        self.m.clamp(1, MOST).next_power_of_two()
    }
}

/// Why a plan is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The analytic rule, without measurement.
    Default,
    /// Measured earlier on a machine like this one.
    Stored,
    /// Measured by this process.
    Measured,
}

impl Origin {
    /// A word for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::Stored => "stored",
            Origin::Measured => "measured",
        }
    }
}

/// The chosen kernel, how threads share its work, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kernel.
    pub spec: KernelSpec,
    /// How threads share the product.
    pub sharing: Sharing,
    /// Why.
    pub origin: Origin,
}

/// The most tokens with which the weights stream.
pub(crate) const FEW: usize = 16;

/// Plans the products of one model on one ISA.
#[derive(Clone, Debug)]
pub struct Planner {
    family: &'static Family,
    layout: Layout,
    core: Core,
    cpu: String,
    records: Arc<Records>,
}

impl Planner {
    /// A planner for weights in `packing`, in the row blocks that suit `isa`, without records.
    pub fn new(isa: Isa, packing: Packing) -> Self {
        let family = emit::family(isa);
        let layout = Layout { packing, interleave: family.interleave };
        Planner { family, layout, core: Core::default(), cpu: String::new(), records: Arc::default() }
    }

    /// The same planner, whose rule heeds what is known of this CPU's cores.
    pub fn on(self, cpu: &Cpu) -> Self {
        Planner { core: Core::of(cpu, self.family.isa), ..self }
    }

    /// The same planner, preferring what `records` hold of the CPU with this [fingerprint](Cpu::fingerprint).
    pub fn with_records(self, cpu: impl Into<String>, records: Arc<Records>) -> Self {
        Planner { cpu: cpu.into(), records, ..self }
    }

    /// The layout that every plan reads.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The kernel for `problem`: the record's, or else the analytic one.
    pub fn plan(&self, problem: &Problem) -> Plan {
        match self.records.get(&self.key(problem)) {
            Some(record) if self.can_use(&record.spec) && record.sharing.is_for(problem.threads) => {
                Plan { spec: record.spec, sharing: record.sharing, origin: record.origin }
            }
            _ => Plan {
                spec: self.analytic(problem),
                sharing: Sharing::by_rule(problem.threads),
                origin: Origin::Default,
            },
        }
    }

    /// Under which a record of `problem` is kept.
    pub fn key(&self, problem: &Problem) -> Key {
        Key::new(&self.cpu, problem, self.family.isa, self.layout)
    }

    /// Whether the kernel reads this planner's weights with its instruction set, and stores what layers want.
    fn can_use(&self, spec: &KernelSpec) -> bool {
        let KernelSpec { isa, layout, epilogue, .. } = *spec;
        isa == self.family.isa
            && layout == self.layout
            && epilogue == Epilogue::F32
            && spec.validate().is_ok()
    }

    /// What may be faster than the analytic kernel, which is the first.
    pub fn candidates(&self, problem: &Problem) -> Vec<KernelSpec> {
        candidates::candidates(self.analytic(problem), problem.m, self.core)
    }

    /// Decoding streams the weights once: the widest tile and the cheapest unpacking. Hardware prefetchers follow one
    /// contiguous stream best when few loads share it, and need help where arithmetic spreads these, and on some cores. With more tokens
    /// arithmetic counts: the tile with the fewest vector instructions per dot product. A few tokens still stream, in a single
    /// pass, so that arithmetic and memory have the same time.
    fn analytic(&self, problem: &Problem) -> KernelSpec {
        let decode = problem.m == 1;
        let smallest = |unpack| KernelSpec {
            isa: self.family.isa,
            layout: self.layout,
            tile: Tile { mr: 1, nr: 16, ku: self.unroll(unpack) },
            schedule: Schedule { unpack, prefetch: self.prefetch(unpack, problem.m) },
            epilogue: Epilogue::F32,
        };
        let packing = self.layout.packing;
        let streams = problem.m <= FEW;
        let readers =
            || self.family.strategies(packing).filter(move |unpack| !streams || unpack.passes() == 1);
        let sets = readers().map(Unpack::accumulators);
        let sets = if decode { sets.max() } else { sets.min() };
        let specs = readers().filter(|unpack| Some(unpack.accumulators()) == sets).map(smallest);
        let cost = |spec: &KernelSpec| candidates::cost(spec, problem.m, self.core);
        let best = specs.flat_map(|spec| tiles(spec, problem.m)).max_by(|a, b| cost(b).total_cmp(&cost(a)));
        best.expect("every family has a kernel for every packing")
    }

    /// Long enough to hide the loop's own instructions and, where sums of 16 bits are folded, the folding.
    fn unroll(&self, unpack: Unpack) -> usize {
        match (self.family.isa, unpack) {
            (Isa::Avx2 | Isa::Neon, _) => 8,
            (_, Unpack::Turns) => 4,
            _ => 1,
        }
    }

    /// Bytes ahead of the weights at which they are prefetched.
    fn prefetch(&self, unpack: Unpack, m: usize) -> usize {
        match (m, unpack) {
            (0..=1, Unpack::Telescope) => self.core.telescoping_prefetch,
            // Two tokens for bytes are an input of the output head's screen.
            (0..=1, _) | (2, Unpack::Direct) => self.core.streaming_prefetch,
            (2..=FEW, _) => self.core.few_prefetch,
            // An unpacked tile is in a cache.
            (_, Unpack::Once) => 0,
            _ => self.core.many_prefetch,
        }
    }
}
