//! The least time that a turn of the loop can take on well-known cores: an estimate, not a simulation.
//!
//! A core is a handful of throughputs. Each resource needs at least its operations over its throughput; dot
//! products into one accumulator wait for each other; the longest of these is the bound. The model leaves out
//! caches, decoders, partial port sets and stack traffic, all of which can only make real code slower.

use super::instruction::{Instruction, Kind};
use crate::isa::Isa;

/// Throughputs of one core at one vector width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VectorUnit {
    /// Multiply-adds of one dot product.
    pub multiply_adds: usize,
    /// Multiplications per cycle: `vpdpbusd`, `vpmaddubsw`, `vpmaddwd`; `sdot`, `usmmla`, `smlal`.
    pub dots_per_cycle: f64,
    /// Vector operations of any kind per cycle, loads and stores apart.
    pub ops_per_cycle: f64,
    /// Vector loads per cycle; prefetches take part.
    pub loads_per_cycle: f64,
    /// Vector stores per cycle.
    pub stores_per_cycle: f64,
}

/// A processor core, as far as the bound knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Core {
    /// Microarchitecture.
    pub name: &'static str,
    /// Instructions that enter the back end per cycle; a subtraction and the jump after it count as one.
    pub instructions_per_cycle: f64,
    /// Cycles from accumulator to accumulator of a dot product.
    pub dot_latency: f64,
    /// ISAs that the core runs, and what it executes them with.
    pub units: &'static [(Isa, VectorUnit)],
}

const fn unit(multiply_adds: usize, [dots, ops, loads, stores]: [f64; 4]) -> VectorUnit {
    VectorUnit {
        multiply_adds,
        dots_per_cycle: dots,
        ops_per_cycle: ops,
        loads_per_cycle: loads,
        stores_per_cycle: stores,
    }
}

const fn ymm(per_cycle: [f64; 4]) -> VectorUnit {
    unit(32, per_cycle)
}

/// `smlal` and `smull` multiply eight bytes, `sdot` sixteen, and `usmmla` each of sixteen with two others.
const SMLAL: usize = 8;
const SDOT: usize = 16;
const USMMLA: usize = 32;

const fn zmm(per_cycle: [f64; 4]) -> VectorUnit {
    unit(64, per_cycle)
}

impl Core {
    /// The cores that are modelled.
    ///
    /// Sources: for AMD, the Software Optimization Guides for Zen 4 (publication 57647) and Zen 5 (58455), sections on
    /// dispatch, floating-point and load-store units; for Intel, the 64 and IA-32 Architectures Optimization Reference
    /// Manual (248966), chapters on Haswell, Sunny Cove and Golden Cove; for throughputs and latencies of single
    /// instructions, the tables of uops.info and of Agner Fog; for Arm, the Software Optimization Guides of Neoverse V2
    /// (109898), N2 (109914) and N1 (PJDOC-466751330-9707), Cortex-A76 (PJDOC-466751330-7215) and Cortex-A72
    /// (UAN 0016), sections on FP load, FP store and ASIMD integer instructions (a pair of vectors loads like two) and on
    /// dispatch; for Apple, Dougall Johnson's measurements of Firestorm.
    pub const ALL: [Core; 12] = [
        // 512-bit datapath: VNNI on two of four pipes, two 512-bit loads, one 512-bit or two 256-bit stores.
        Core {
            name: "Zen 5 server",
            instructions_per_cycle: 8.0,
            dot_latency: 4.0,
            units: &[
                (Isa::Avx2, ymm([2.0, 4.0, 2.0, 2.0])),
                (Isa::AvxVnni, ymm([2.0, 4.0, 2.0, 2.0])),
                (Isa::Avx512Vnni, zmm([2.0, 4.0, 2.0, 1.0])),
            ],
        },
        // 256-bit datapath that 512-bit operations occupy twice.
        Core {
            name: "Zen 4",
            instructions_per_cycle: 6.0,
            dot_latency: 4.0,
            units: &[(Isa::Avx2, ymm([2.0, 4.0, 2.0, 1.0])), (Isa::Avx512Vnni, zmm([1.0, 2.0, 1.0, 0.5]))],
        },
        // 512-bit operations on ports 0 (with 1) and 5, and VNNI on both; 256-bit VNNI on ports 0 and 1.
        Core {
            name: "Sapphire Rapids",
            instructions_per_cycle: 6.0,
            dot_latency: 5.0,
            units: &[
                (Isa::Avx2, ymm([2.0, 3.0, 3.0, 2.0])),
                (Isa::AvxVnni, ymm([2.0, 3.0, 3.0, 2.0])),
                (Isa::Avx512Vnni, zmm([2.0, 2.0, 2.0, 1.0])),
            ],
        },
        Core {
            name: "Ice Lake server",
            instructions_per_cycle: 5.0,
            dot_latency: 5.0,
            units: &[(Isa::Avx2, ymm([2.0, 3.0, 2.0, 2.0])), (Isa::Avx512Vnni, zmm([2.0, 2.0, 2.0, 1.0]))],
        },
        // AVX-512 is fused off.
        Core {
            name: "Alder Lake P",
            instructions_per_cycle: 6.0,
            dot_latency: 5.0,
            units: &[(Isa::Avx2, ymm([2.0, 3.0, 3.0, 2.0])), (Isa::AvxVnni, ymm([2.0, 3.0, 3.0, 2.0]))],
        },
        // Integer multiplication on port 0 alone.
        Core {
            name: "Haswell",
            instructions_per_cycle: 4.0,
            dot_latency: 5.0,
            units: &[(Isa::Avx2, ymm([1.0, 3.0, 2.0, 1.0]))],
        },
        // Four vector pipes; long multiplications on two of them.
        Core {
            name: "Neoverse V2",
            instructions_per_cycle: 8.0,
            dot_latency: 1.0,
            units: &[
                (Isa::Neon, unit(SMLAL, [2.0, 4.0, 3.0, 2.0])),
                (Isa::NeonDot, unit(SDOT, [4.0, 4.0, 3.0, 2.0])),
                (Isa::NeonI8mm, unit(USMMLA, [4.0, 4.0, 3.0, 2.0])),
            ],
        },
        // Two vector pipes; long multiplications on one of them.
        Core {
            name: "Neoverse N2",
            instructions_per_cycle: 5.0,
            dot_latency: 1.0,
            units: &[
                (Isa::Neon, unit(SMLAL, [1.0, 2.0, 3.0, 2.0])),
                (Isa::NeonDot, unit(SDOT, [2.0, 2.0, 3.0, 2.0])),
                (Isa::NeonI8mm, unit(USMMLA, [2.0, 2.0, 3.0, 2.0])),
            ],
        },
        Core {
            name: "Neoverse N1",
            instructions_per_cycle: 4.0,
            dot_latency: 1.0,
            units: &[
                (Isa::Neon, unit(SMLAL, [1.0, 2.0, 2.0, 1.0])),
                (Isa::NeonDot, unit(SDOT, [2.0, 2.0, 2.0, 1.0])),
            ],
        },
        // The client sibling of Neoverse N1.
        Core {
            name: "Cortex-A76",
            instructions_per_cycle: 4.0,
            dot_latency: 1.0,
            units: &[
                (Isa::Neon, unit(SMLAL, [1.0, 2.0, 2.0, 1.0])),
                (Isa::NeonDot, unit(SDOT, [2.0, 2.0, 2.0, 1.0])),
            ],
        },
        Core {
            name: "Cortex-A72",
            instructions_per_cycle: 3.0,
            dot_latency: 1.0,
            units: &[(Isa::Neon, unit(SMLAL, [1.0, 2.0, 1.0, 1.0]))],
        },
        // No guide is published; sums are not forwarded.
        Core {
            name: "Apple M1 P",
            instructions_per_cycle: 8.0,
            dot_latency: 3.0,
            units: &[
                (Isa::Neon, unit(SMLAL, [4.0, 4.0, 3.0, 2.0])),
                (Isa::NeonDot, unit(SDOT, [4.0, 4.0, 3.0, 2.0])),
            ],
        },
    ];

    /// What executes `isa`, if the core has it.
    pub fn unit(&self, isa: Isa) -> Option<&VectorUnit> {
        self.units.iter().find(|(has, _)| *has == isa).map(|(_, unit)| unit)
    }
}

/// The resource that a turn of the loop waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Multiplication units: the best there is.
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

/// An estimate of the least time of a turn of the loop on one core, all operands in its first-level cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// [`Core::name`].
    pub core: &'static str,
    /// Cycles of one turn, at least.
    pub cycles_per_turn: f64,
    /// What takes that long; of equals the first in the order of [`Limit`].
    pub limit: Limit,
    /// Multiply-adds per cycle, at most.
    pub multiply_adds_per_cycle: f64,
    /// The same in percent of what the core's dot-product instruction can reach with this ISA.
    pub percent_of_peak: f64,
}

/// Bounds of a loop `body` that does so many multiply-adds, on every core that has the ISA.
pub(super) fn bounds(isa: Isa, multiply_adds: usize, body: &[Instruction]) -> Vec<Bound> {
    let demand = Demand::of(body);
    let isa = match isa {
        // What VBMI adds are vector operations like others.
        Isa::Avx512Vbmi => Isa::Avx512Vnni,
        // Kernels of the I8MM family that have no use for its matrix product.
        Isa::NeonI8mm if !body.iter().any(|i| i.is_matrix_product) => Isa::NeonDot,
        isa => isa,
    };
    let on = |core: &Core| {
        let unit = core.unit(isa)?;
        let (limit, cycles) = demand.longest(core, unit);
        let per_cycle = multiply_adds as f64 / cycles;
        Some(Bound {
            core: core.name,
            cycles_per_turn: cycles,
            limit,
            multiply_adds_per_cycle: per_cycle,
            percent_of_peak: 100.0 * per_cycle / (unit.dots_per_cycle * unit.multiply_adds as f64),
        })
    };
    Core::ALL.iter().filter_map(on).collect()
}

/// Operations of one turn, by the resource that they occupy.
struct Demand {
    dots: usize,
    vector_ops: usize,
    loads: usize,
    stores: usize,
    instructions: usize,
    /// The most dot products into one accumulator.
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

    /// What takes longest, and how many cycles.
    fn longest(&self, core: &Core, unit: &VectorUnit) -> (Limit, f64) {
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
