//! Picks the micro-kernel for a problem.
//!
//! Knows no instruction and no thread: it reasons with the sizes of tiles that [`KernelSpec::validate`] allows.

mod candidates;

use tercet_codegen::{Epilogue, Family, Isa, KernelSpec, Layout, Packing, Schedule, Tile, emit};

pub use candidates::tiles;

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

/// Why a plan is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The analytic rule, without measurement.
    Default,
}

impl Origin {
    /// A word for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Default => "default",
        }
    }
}

/// The chosen kernel, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kernel.
    pub spec: KernelSpec,
    /// Why.
    pub origin: Origin,
}

/// Plans the products of one model on one ISA.
#[derive(Clone, Copy, Debug)]
pub struct Planner {
    family: &'static Family,
    layout: Layout,
}

impl Planner {
    /// A planner for weights in `packing`, in the row blocks that suit `isa`.
    pub fn new(isa: Isa, packing: Packing) -> Self {
        let family = emit::family(isa);
        Planner { family, layout: Layout { packing, interleave: family.interleave } }
    }

    /// The layout that every plan reads.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The kernel for `problem`.
    pub fn plan(&self, problem: &Problem) -> Plan {
        Plan { spec: self.analytic(problem), origin: Origin::Default }
    }

    /// Decoding streams the weights once: the widest tile, the cheapest unpacking and a far prefetch. With more
    /// tokens arithmetic counts: the tile with the most dot products per other vector instruction.
    fn analytic(&self, problem: &Problem) -> KernelSpec {
        const FAR: usize = 8192;
        let decode = problem.m == 1;
        let spec = |unpack, tile| KernelSpec {
            isa: self.family.isa,
            layout: self.layout,
            tile,
            schedule: Schedule { unpack, prefetch: if decode { FAR } else { 0 } },
            epilogue: Epilogue::F32,
        };
        let readers = self.family.unpacks.iter().filter(|unpack| unpack.packing() == self.layout.packing);
        let accumulators = |unpack: &&tercet_codegen::Unpack| unpack.accumulators();
        let unpack = if decode { readers.max_by_key(accumulators) } else { readers.min_by_key(accumulators) };
        let unpack = *unpack.expect("every family reads every packing");
        let smallest = Tile { mr: 1, nr: 16, ku: self.unroll(problem.m) };
        tiles(spec(unpack, smallest), problem.m)
            .max_by(|a, b| candidates::intensity(a).total_cmp(&candidates::intensity(b)))
            .unwrap_or(spec(unpack, smallest))
    }

    /// Long enough to hide the loop's own instructions and, on AVX2, the folding of 16-bit sums.
    fn unroll(&self, m: usize) -> usize {
        match (self.family.isa, m) {
            (Isa::Avx2, _) => 8,
            (_, 1) => 2,
            _ => 1,
        }
    }
}
