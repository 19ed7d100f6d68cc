//! Plans: the kernel for a problem, and its origin.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tercet_codegen::{
    Epilogue, Family, Isa, KernelSpec, Layout, Packing, Prefetch, Schedule, Tile, Unpack, emit,
};
use tercet_cpu::{Cpu, Habits};

use crate::candidates::{self, filled, tiles};
use crate::records::{Key, Records};
use crate::rules;
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
    /// Returns m rounded up to a power of two, at most 128. Problems with the same value share a record.
    pub fn m_bucket(&self) -> usize {
        const MOST: usize = 128;
        self.m.clamp(1, MOST).next_power_of_two()
    }
}

/// The origin of a plan.
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
    /// Returns a word for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::Stored => "stored",
            Origin::Measured => "measured",
        }
    }
}

/// A kernel, the way that threads share its work, and the origin of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kernel.
    pub spec: KernelSpec,
    /// The way that threads share the product.
    pub sharing: Sharing,
    /// Origin of the plan.
    pub origin: Origin,
}

/// The most tokens for which the weights stream from memory.
pub(crate) const FEW: usize = 16;

/// The numbers of tokens for [`Unpack::Ring`]. Fewer wait for memory with vectors too.
pub(crate) const RING: RangeInclusive<usize> = 3..=FEW;

/// Plans the products of one model on one ISA.
///
/// ```
/// use tercet_autotune::{Origin, Planner, Problem};
/// use tercet_codegen::{Isa, Packing};
///
/// let plan = Planner::new(Isa::Avx2, Packing::Bits2).plan(&Problem { n: 6912, k: 2560, m: 1, threads: 2 });
/// assert_eq!(plan.origin, Origin::Default);
/// assert_eq!(plan.spec.isa, Isa::Avx2);
/// ```
#[derive(Clone, Debug)]
pub struct Planner {
    family: &'static Family,
    layout: Layout,
    habits: Habits,
    cpu: String,
    records: Arc<Records>,
}

impl Planner {
    /// Returns a planner for weights in `packing`, in the row blocks that suit `isa`, without records.
    pub fn new(isa: Isa, packing: Packing) -> Self {
        let family = emit::family(isa);
        let layout = Layout { packing, interleave: family.interleave };
        Planner { family, layout, habits: Habits::default(), cpu: String::new(), records: Arc::default() }
    }

    /// Makes the rule use the habits of this CPU's cores.
    pub fn on(self, cpu: &Cpu) -> Self {
        Planner { habits: rules::habits(cpu, self.family), ..self }
    }

    /// Makes the planner prefer the `records` of the CPU with this [fingerprint](Cpu::fingerprint).
    pub fn with_records(self, cpu: impl Into<String>, records: Arc<Records>) -> Self {
        Planner { cpu: cpu.into(), records, ..self }
    }

    /// Returns the instruction set of every plan.
    pub fn isa(&self) -> Isa {
        self.family.isa
    }

    /// Returns the layout of the weights, the same for every plan.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the kernel for `problem`: the recorded one, or else the analytic one.
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

    /// Returns the key of the record of `problem`.
    pub fn key(&self, problem: &Problem) -> Key {
        Key::new(&self.cpu, problem, self.family.isa, self.layout)
    }

    /// Returns true if the kernel has this planner's instruction set and layout, and stores f32 for layers.
    fn can_use(&self, spec: &KernelSpec) -> bool {
        let KernelSpec { isa, layout, epilogue, .. } = *spec;
        isa == self.family.isa
            && layout == self.layout
            && epilogue == Epilogue::F32
            && spec.validate().is_ok()
    }

    /// Returns the analytic kernel and the kernels that may be faster.
    pub fn candidates(&self, problem: &Problem) -> Vec<KernelSpec> {
        candidates::candidates(self.analytic(problem), problem.m, self.habits)
    }

    /// Returns the kernel to race against `spec` while a model runs: by rule, with vectors if that one multiplies tiles,
    /// or the other way round. There is none if only one kind suits the problem.
    pub fn rival(&self, problem: &Problem, spec: &KernelSpec) -> Option<KernelSpec> {
        let multiplies_tiles = spec.schedule.unpack.multiplies_tiles();
        self.best(problem, |unpack| unpack.multiplies_tiles() != multiplies_tiles)
    }

    /// Plans by rule.
    fn analytic(&self, problem: &Problem) -> KernelSpec {
        self.best(problem, |_| true).expect("every family has a kernel for every packing")
    }

    /// Returns the best kernel by rule, with a strategy of these.
    ///
    /// - Decoding streams the weights once. It takes the widest tile and the cheapest unpacking. Hardware prefetchers
    ///   follow one contiguous stream best if few loads share it. They need help on some cores, and if arithmetic
    ///   spreads the loads.
    /// - With more tokens arithmetic counts. The rule takes the tile with the fewest vector instructions per dot product.
    /// - With a few tokens the weights still stream. One pass over k lets arithmetic and memory work at the same time.
    ///   Telescoping is worth its second accumulator if one tile takes all tokens and the rows of a block.
    fn best(&self, problem: &Problem, is_wanted: impl Fn(Unpack) -> bool) -> Option<KernelSpec> {
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
        let suits = |unpack: &Unpack| match unpack {
            // Fewer tokens do not fill a tile.
            Unpack::Tiles => !streams,
            Unpack::Ring => RING.contains(&problem.m),
            _ => !streams || unpack.passes() == 1,
        };
        let readers = || self.family.strategies(packing).filter(suits).filter(|unpack| is_wanted(*unpack));
        let sets = readers().map(Unpack::accumulators);
        let sets = if decode { sets.max() } else { sets.min() };
        let fits = |spec: &KernelSpec| {
            let whole = (spec.tile.mr, spec.tile.nr) == (problem.m, self.layout.block_rows());
            let unpack = spec.schedule.unpack;
            Some(unpack.accumulators()) == sets || (whole && unpack == Unpack::Telescope)
        };
        let specs = readers().map(smallest).flat_map(|spec| tiles(spec, problem.m)).map(filled).filter(fits);
        let cost = |spec: &KernelSpec| candidates::cost(spec, problem.m, self.habits);
        specs.max_by(|a, b| cost(b).total_cmp(&cost(a)))
    }

    /// Returns the steps in one turn of the loop. They hide the loop's own instructions, and the folding of 16-bit sums.
    fn unroll(&self, unpack: Unpack) -> usize {
        match unpack {
            _ if self.family.folds => 8,
            Unpack::Turns => 4,
            _ => 1,
        }
    }

    /// Returns the prefetches for m tokens. Only weights that stream from memory need the far one.
    fn prefetch(&self, unpack: Unpack, m: usize) -> Prefetch {
        let near = match (m, unpack) {
            (0..=FEW, Unpack::Telescope) => self.habits.telescoping_prefetch,
            (0..=1, _) => self.habits.streaming_prefetch,
            // The screen of the output head multiplies these packings with two vectors of each token.
            (2, _) if !Packing::TERNARY.contains(&self.layout.packing) => self.habits.streaming_prefetch,
            (2..=FEW, _) => self.habits.few_prefetch,
            // An unpacked tile stays in a cache.
            (_, Unpack::Once | Unpack::Tiles) => 0,
            _ => self.habits.many_prefetch,
        };
        Prefetch { near, far: if m <= FEW { self.habits.far_prefetch } else { 0 } }
    }
}
