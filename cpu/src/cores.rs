//! The table of cores: one row per microarchitecture.
//!
//! A row says how the core is recognised, how much it executes per cycle, and which habits matter to a planner of
//! kernels. To add a core, add a row to [`CORES`].

use crate::Cpu;
use crate::topology::CoreClass;

/// A microarchitecture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Core {
    /// Name in listings.
    pub name: &'static str,
    /// How a [`Cpu`] shows that it has this core.
    pub marks: Marks,
    /// Throughputs; `None` for a core without a published model.
    pub throughput: Option<Throughput>,
    /// Measured habits.
    pub habits: Habits,
}

/// The marks of a core in CPUID or in the main ID register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// [`Cpu::vendor`].
    pub vendor: &'static str,
    /// [`Cpu::family`].
    pub family: u32,
    /// Allowed values of [`Cpu::model`]; empty allows all.
    pub models: &'static [u32],
    /// A feature that the core has.
    pub with: Option<&'static str>,
    /// A feature that the core lacks.
    pub without: Option<&'static str>,
}

/// Throughputs of one core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Instructions that enter the back end per cycle. A subtraction and the jump after it count as one.
    pub instructions_per_cycle: f64,
    /// Cycles from accumulator to accumulator of a dot product.
    pub dot_latency: f64,
    /// The dot products that the core has, each with the throughputs at its vector width.
    pub units: &'static [(DotProduct, VectorUnit)],
}

/// An instruction that multiplies bytes and adds the products, at one vector width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotProduct {
    /// 256-bit `vpmaddubsw` (AVX2): 16-bit sums of two products.
    VpmaddubswYmm,
    /// 256-bit `vpdpbusd` (AVX-VNNI): 32-bit sums of four products.
    VpdpbusdYmm,
    /// 512-bit `vpdpbusd` (AVX-512 VNNI).
    VpdpbusdZmm,
    /// `tdpbsud` (AMX): 32-bit sums of a tile of 16 tokens and 16 rows, with 64 products for each.
    Tdpbsud,
    /// 128-bit `smlal` and `smull` (NEON): 16-bit products of eight bytes.
    Smlal,
    /// 128-bit `sdot` (dotprod): 32-bit sums of four products.
    Sdot,
    /// 128-bit `usmmla` (I8MM): each of two rows with each of two others.
    Usmmla,
}

impl DotProduct {
    /// Multiply-adds of one instruction.
    pub const fn multiply_adds(self) -> usize {
        match self {
            DotProduct::VpmaddubswYmm | DotProduct::VpdpbusdYmm | DotProduct::Usmmla => 32,
            DotProduct::VpdpbusdZmm => 64,
            DotProduct::Tdpbsud => 16 * 16 * 64,
            DotProduct::Smlal => 8,
            DotProduct::Sdot => 16,
        }
    }
}

/// Throughputs at one vector width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VectorUnit {
    /// Multiplications per cycle: `vpdpbusd`, `vpmaddubsw`, `vpmaddwd`; `sdot`, `usmmla`, `smlal`.
    pub dots_per_cycle: f64,
    /// Vector operations of any kind per cycle, without loads and stores.
    pub ops_per_cycle: f64,
    /// Vector loads per cycle, including prefetches.
    pub loads_per_cycle: f64,
    /// Vector stores per cycle.
    pub stores_per_cycle: f64,
}

/// Habits of a core that decide between kernels. [`Habits::default`] is for an unknown core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// Vector operations per dot product that take no time, because dot products leave units for them.
    pub spare: f64,
    /// Cost of shifting and masking one code between dot products, in vector operations.
    pub shift: f64,
    /// Cost of looking up one code in tables, in vector operations.
    pub look_up: f64,
    /// The fewest threads with which unpacking 1.6-bit weights is as fast as the memory that they share.
    pub trits5_threads: usize,
    /// Prefetch distance in bytes of kernels that read weights at the speed of memory.
    pub streaming_prefetch: usize,
    /// Prefetch distance of kernels that telescope, which spreads their loads.
    pub telescoping_prefetch: usize,
    /// Prefetch distance for a few tokens.
    pub few_prefetch: usize,
    /// Distance of prefetches into the second-level cache, for up to a few tokens. The other ones then are shorter.
    pub far_prefetch: usize,
    /// Prefetch distance for many tokens.
    pub many_prefetch: usize,
}

impl Habits {
    /// Habits of a core that nobody measured.
    pub const UNKNOWN: Habits = Habits {
        spare: 0.0,
        shift: 2.0,
        // Slower than extraction, until measured.
        look_up: 8.0,
        trits5_threads: 1,
        streaming_prefetch: 0,
        telescoping_prefetch: 4096,
        few_prefetch: 0,
        far_prefetch: 0,
        many_prefetch: 0,
    };

    /// Returns the habits of the core of `cpu`.
    pub fn of(cpu: &Cpu) -> Habits {
        Core::of(cpu).map_or(Habits::UNKNOWN, |core| core.habits)
    }
}

impl Default for Habits {
    fn default() -> Self {
        Habits::UNKNOWN
    }
}

impl Core {
    /// Returns the first row of [`CORES`] with the marks of `cpu`.
    pub fn of(cpu: &Cpu) -> Option<&'static Core> {
        CORES.iter().find(|core| core.marks.are_on(cpu))
    }
}

impl Marks {
    const fn amd(family: u32) -> Marks {
        Marks { vendor: "AuthenticAMD", family, models: &[], with: None, without: None }
    }

    const fn intel(models: &'static [u32]) -> Marks {
        Marks { vendor: "GenuineIntel", family: 6, models, with: None, without: None }
    }

    const fn arm(part: &'static [u32]) -> Marks {
        Marks { vendor: "Arm", family: 0x41, models: part, with: None, without: None }
    }

    fn are_on(&self, cpu: &Cpu) -> bool {
        (self.vendor, self.family) == (&cpu.vendor, cpu.family)
            && (self.models.is_empty() || self.models.contains(&cpu.model))
            && self.with.is_none_or(|feature| cpu.has(feature))
            && self.without.is_none_or(|feature| !cpu.has(feature))
            // On a hybrid CPU both classes of cores have the same model, and the rows describe the fast one.
            && cpu.class != Some(CoreClass::Efficiency)
    }
}

/// A unit from its dot products, operations, loads and stores per cycle.
const fn unit([dots, ops, loads, stores]: [f64; 4]) -> VectorUnit {
    VectorUnit { dots_per_cycle: dots, ops_per_cycle: ops, loads_per_cycle: loads, stores_per_cycle: stores }
}

/// Every known core.
///
/// Sources of throughputs:
/// - AMD: the Software Optimization Guides for Zen 4 (publication 57647) and Zen 5 (58455), sections on dispatch,
///   floating-point and load-store units;
/// - Intel: the 64 and IA-32 Architectures Optimization Reference Manual (248966), chapters on Haswell, Sunny Cove
///   and Golden Cove;
/// - single instructions: the tables of uops.info and of Agner Fog;
/// - Arm: the Software Optimization Guides of Neoverse V2 (109898), N2 (109914) and N1 (PJDOC-466751330-9707),
///   Cortex-A76 (PJDOC-466751330-7215) and Cortex-A72 (UAN 0016), sections on dispatch, FP load, FP store and ASIMD
///   integer instructions (a pair of vectors loads like two);
/// - Apple: Dougall Johnson's measurements of Firestorm.
///
/// Habits are measured with this project's kernels.
pub static CORES: [Core; 13] = [
    // 512-bit datapath: VNNI on two of four pipes, two 512-bit loads, one 512-bit or two 256-bit stores.
    Core {
        name: "Zen 5 server",
        marks: Marks::amd(26),
        throughput: Some(Throughput {
            instructions_per_cycle: 8.0,
            dot_latency: 4.0,
            units: &[
                (DotProduct::VpmaddubswYmm, unit([2.0, 4.0, 2.0, 2.0])),
                (DotProduct::VpdpbusdYmm, unit([2.0, 4.0, 2.0, 2.0])),
                (DotProduct::VpdpbusdZmm, unit([2.0, 4.0, 2.0, 1.0])),
            ],
        }),
        // Dot products take two of four vector units.
        habits: Habits {
            spare: 1.0,
            streaming_prefetch: 8192,
            telescoping_prefetch: 8192,
            few_prefetch: 4096,
            many_prefetch: 2048,
            ..Habits::UNKNOWN
        },
    },
    // 256-bit datapath. A 512-bit operation occupies it twice.
    Core {
        name: "Zen 4",
        marks: Marks { with: Some("avx512f"), ..Marks::amd(25) },
        throughput: Some(Throughput {
            instructions_per_cycle: 6.0,
            dot_latency: 4.0,
            units: &[
                (DotProduct::VpmaddubswYmm, unit([2.0, 4.0, 2.0, 1.0])),
                (DotProduct::VpdpbusdZmm, unit([1.0, 2.0, 1.0, 0.5])),
            ],
        }),
        // Dot products leave units for shifts and masks, but not for permutations and comparisons.
        habits: Habits {
            shift: 0.25,
            look_up: 3.0,
            trits5_threads: 3,
            few_prefetch: 4096,
            many_prefetch: 2048,
            ..Habits::UNKNOWN
        },
    },
    Core {
        name: "Zen 3",
        marks: Marks { without: Some("avx512f"), ..Marks::amd(25) },
        throughput: None,
        // Without prefetches it reads a stream at three quarters of the memory's speed.
        habits: Habits {
            streaming_prefetch: 8192,
            few_prefetch: 4096,
            many_prefetch: 2048,
            ..Habits::UNKNOWN
        },
    },
    // 512-bit operations on ports 0 (with 1) and 5, and VNNI on both. 256-bit VNNI on ports 0 and 1.
    Core {
        name: "Sapphire Rapids",
        marks: Marks { with: Some("avx512_fp16"), ..Marks::intel(&[]) },
        throughput: Some(Throughput {
            instructions_per_cycle: 6.0,
            dot_latency: 5.0,
            units: &[
                (DotProduct::VpmaddubswYmm, unit([2.0, 3.0, 3.0, 2.0])),
                (DotProduct::VpdpbusdYmm, unit([2.0, 3.0, 3.0, 2.0])),
                (DotProduct::VpdpbusdZmm, unit([2.0, 2.0, 2.0, 1.0])),
                (DotProduct::Tdpbsud, unit([1.0 / 16.0, 2.0, 2.0, 1.0])),
            ],
        }),
        // The first-level cache alone has too few lines on their way. Tables beat extraction by little.
        habits: Habits {
            look_up: 5.25,
            streaming_prefetch: 2048,
            telescoping_prefetch: 2048,
            few_prefetch: 2048,
            far_prefetch: 16_384,
            ..Habits::UNKNOWN
        },
    },
    Core {
        name: "Ice Lake server",
        marks: Marks::intel(&[0x6A, 0x6C]),
        throughput: Some(Throughput {
            instructions_per_cycle: 5.0,
            dot_latency: 5.0,
            units: &[
                (DotProduct::VpmaddubswYmm, unit([2.0, 3.0, 2.0, 2.0])),
                (DotProduct::VpdpbusdZmm, unit([2.0, 2.0, 2.0, 1.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
    // AVX-512 is fused off.
    Core {
        name: "Alder Lake P",
        marks: Marks::intel(&[0x97, 0x9A]),
        throughput: Some(Throughput {
            instructions_per_cycle: 6.0,
            dot_latency: 5.0,
            units: &[
                (DotProduct::VpmaddubswYmm, unit([2.0, 3.0, 3.0, 2.0])),
                (DotProduct::VpdpbusdYmm, unit([2.0, 3.0, 3.0, 2.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
    // Integer multiplication on port 0 alone.
    Core {
        name: "Haswell",
        marks: Marks::intel(&[0x3C, 0x3F, 0x45, 0x46]),
        throughput: Some(Throughput {
            instructions_per_cycle: 4.0,
            dot_latency: 5.0,
            units: &[(DotProduct::VpmaddubswYmm, unit([1.0, 3.0, 2.0, 1.0]))],
        }),
        habits: Habits::UNKNOWN,
    },
    // Four vector pipes. Long multiplications run on two of them.
    Core {
        name: "Neoverse V2",
        marks: Marks::arm(&[0xD4F]),
        throughput: Some(Throughput {
            instructions_per_cycle: 8.0,
            dot_latency: 1.0,
            units: &[
                (DotProduct::Smlal, unit([2.0, 4.0, 3.0, 2.0])),
                (DotProduct::Sdot, unit([4.0, 4.0, 3.0, 2.0])),
                (DotProduct::Usmmla, unit([4.0, 4.0, 3.0, 2.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
    // Two vector pipes. Long multiplications run on one of them.
    Core {
        name: "Neoverse N2",
        marks: Marks::arm(&[0xD49]),
        throughput: Some(Throughput {
            instructions_per_cycle: 5.0,
            dot_latency: 1.0,
            units: &[
                (DotProduct::Smlal, unit([1.0, 2.0, 3.0, 2.0])),
                (DotProduct::Sdot, unit([2.0, 2.0, 3.0, 2.0])),
                (DotProduct::Usmmla, unit([2.0, 2.0, 3.0, 2.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
    Core {
        name: "Neoverse N1",
        marks: Marks::arm(&[0xD0C]),
        throughput: Some(Throughput {
            instructions_per_cycle: 4.0,
            dot_latency: 1.0,
            units: &[
                (DotProduct::Smlal, unit([1.0, 2.0, 2.0, 1.0])),
                (DotProduct::Sdot, unit([2.0, 2.0, 2.0, 1.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
    // The client sibling of Neoverse N1.
    Core {
        name: "Cortex-A76",
        marks: Marks::arm(&[0xD0B]),
        throughput: Some(Throughput {
            instructions_per_cycle: 4.0,
            dot_latency: 1.0,
            units: &[
                (DotProduct::Smlal, unit([1.0, 2.0, 2.0, 1.0])),
                (DotProduct::Sdot, unit([2.0, 2.0, 2.0, 1.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
    Core {
        name: "Cortex-A72",
        marks: Marks::arm(&[0xD08]),
        throughput: Some(Throughput {
            instructions_per_cycle: 3.0,
            dot_latency: 1.0,
            units: &[(DotProduct::Smlal, unit([1.0, 2.0, 1.0, 1.0]))],
        }),
        habits: Habits::UNKNOWN,
    },
    // No guide is published. Sums are not forwarded.
    Core {
        name: "Apple M1 P",
        marks: Marks {
            vendor: "Apple",
            family: 0x61,
            models: &[0x23, 0x25, 0x29],
            with: None,
            without: None,
        },
        throughput: Some(Throughput {
            instructions_per_cycle: 8.0,
            dot_latency: 3.0,
            units: &[
                (DotProduct::Smlal, unit([4.0, 4.0, 3.0, 2.0])),
                (DotProduct::Sdot, unit([4.0, 4.0, 3.0, 2.0])),
            ],
        }),
        habits: Habits::UNKNOWN,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn core(vendor: &str, family: u32, model: u32, features: &[&'static str]) -> Option<&'static str> {
        let cpu = Cpu {
            vendor: vendor.to_owned(),
            family,
            model,
            features: features.to_vec(),
            class: None,
            ..Cpu::probe()
        };
        Core::of(&cpu).map(|core| core.name)
    }

    #[test]
    fn marks_tell_cores_apart() {
        assert_eq!(core("AuthenticAMD", 25, 0x61, &["avx512f"]), Some("Zen 4"));
        assert_eq!(core("AuthenticAMD", 25, 0x21, &["avx2"]), Some("Zen 3"));
        assert_eq!(core("AuthenticAMD", 26, 0x02, &["avx512f"]), Some("Zen 5 server"));
        assert_eq!(core("GenuineIntel", 6, 0x8F, &["avx512_fp16"]), Some("Sapphire Rapids"));
        assert_eq!(core("GenuineIntel", 6, 0x6A, &["avx512f"]), Some("Ice Lake server"));
        assert_eq!(core("GenuineIntel", 6, 0x7E, &["avx512f"]), None, "a client has one 512-bit unit");
        assert_eq!(core("Arm", 0x41, 0xD0C, &[]), Some("Neoverse N1"));
        assert_eq!(core("Apple", 0x61, 0x23, &[]), Some("Apple M1 P"));
        assert_eq!(core("", 0, 0, &[]), None);
    }

    #[test]
    fn every_row_is_the_first_with_its_marks() {
        for row in &CORES {
            let Marks { vendor, family, models, with, .. } = row.marks;
            let features: Vec<&str> = with.into_iter().collect();
            let models: &[u32] = if models.is_empty() { &[0] } else { models };
            for model in models {
                assert_eq!(core(vendor, family, *model, &features), Some(row.name));
            }
        }
    }
}
