//! Static bounds: the least time of a turn of the loop on well-known cores. A bound is an estimate, not a simulation.
//!
//! Each resource of a core needs at least its operations divided by its throughput. Dot products into one accumulator
//! wait for each other. The longest of these times is the bound. The model ignores caches, decoders, partial port sets
//! and stack traffic. All of these can only make real code slower.

use tercet_cpu::{CORES, Core, Throughput, VectorUnit};

use super::instruction::{Instruction, Kind};

/// The resource that a turn of the loop waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Multiplication units. No kernel is faster.
    Dots,
    /// Vector pipes.
    VectorOps,
    /// Load ports.
    Loads,
    /// Store ports.
    Stores,
    /// Front end.
    Instructions,
    /// Dot products into the same accumulator.
    Latency,
}

impl Limit {
    /// Name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Dots => "dots",
            Limit::VectorOps => "vector ops",
            Limit::Loads => "loads",
            Limit::Stores => "stores",
            Limit::Instructions => "instructions",
            Limit::Latency => "latency",
        }
    }
}

/// The bound on one core, with all operands in its first-level cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// [`Core::name`].
    pub core: &'static str,
    /// Cycles of one turn, at least.
    pub cycles_per_turn: f64,
    /// The resource that takes longest. Among equals it is the first in the order of [`Limit`].
    pub limit: Limit,
    /// Multiply-adds per cycle, at most.
    pub multiply_adds_per_cycle: f64,
    /// The same in percent of the peak of the core's dot-product instruction.
    pub percent_of_peak: f64,
}

/// Returns the bounds of a loop `body` with `multiply_adds`, on every core that has the loop's dot products.
pub(super) fn bounds(multiply_adds: usize, body: &[Instruction]) -> Vec<Bound> {
    let demand = Demand::of(body);
    let Some(dot) = body.iter().find_map(|i| i.dot) else { return Vec::new() };
    let on = |core: &Core| {
        let throughput = core.throughput?;
        let unit = throughput.units.iter().find(|(has, _)| *has == dot).map(|(_, unit)| unit)?;
        let (limit, cycles) = demand.longest(&throughput, unit);
        let per_cycle = multiply_adds as f64 / cycles;
        let peak = unit.dots_per_cycle * dot.multiply_adds() as f64;
        Some(Bound {
            core: core.name,
            cycles_per_turn: cycles,
            limit,
            multiply_adds_per_cycle: per_cycle,
            percent_of_peak: 100.0 * per_cycle / peak,
        })
    };
    CORES.iter().filter_map(on).collect()
}

/// Operations of one turn, by the resource that they occupy.
struct Demand {
    dots: usize,
    vector_ops: usize,
    loads: usize,
    stores: usize,
    instructions: usize,
    /// The largest number of dot products into one accumulator.
    chain: usize,
}

impl Demand {
    fn of(body: &[Instruction]) -> Self {
        let count = |what: &dyn Fn(&Instruction) -> bool| body.iter().filter(|i| what(i)).count();
        let arithmetic = |i: &Instruction| matches!(i.kind, Kind::Dot | Kind::Vector);
        let chain = |accumulator| count(&|i| accumulator == i.accumulator);
        Demand {
            dots: count(&|i| i.multiplies),
            vector_ops: count(&|i| arithmetic(i) && !i.is_free),
            loads: body.iter().map(|i| i.loads).sum(),
            stores: count(&|i| i.kind == Kind::Store),
            instructions: count(&|i| !i.is_fused),
            chain: body
                .iter()
                .filter(|i| i.accumulator.is_some())
                .map(|i| chain(i.accumulator))
                .max()
                .unwrap_or(0),
        }
    }

    /// Returns the resource that takes longest, and its cycles.
    fn longest(&self, core: &Throughput, unit: &VectorUnit) -> (Limit, f64) {
        let needs = [
            (Limit::Dots, self.dots as f64 / unit.dots_per_cycle),
            (Limit::VectorOps, self.vector_ops as f64 / unit.ops_per_cycle),
            (Limit::Loads, self.loads as f64 / unit.loads_per_cycle),
            (Limit::Stores, self.stores as f64 / unit.stores_per_cycle),
            (Limit::Instructions, self.instructions as f64 / core.instructions_per_cycle),
            (Limit::Latency, self.chain as f64 * core.dot_latency),
        ];
        needs
            .into_iter()
            .reduce(|longest, need| if need.1 > longest.1 { need } else { longest })
            .expect("six needs")
    }
}
