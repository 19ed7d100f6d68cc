//! NEON with SDOT (ARMv8.2 dotprod): four rows per vector.
//!
//! One register holds the activations of four groups, and each `sdot` names one of its lanes. So no
//! instruction has to broadcast them.

use tercet_cpu::DotProduct;

use super::Family;
use super::aarch64::{self, Acts, Asm, Dialect, Registers, V, Weights};
use crate::isa::{Architecture, Isa};
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::NeonDot,
    name: "neon-dot",
    architecture: Some(Architecture::Aarch64),
    features: &["asimd", "asimddp"],
    dot: Some(NeonDot::DOT),
    folds: false,
    dot_cost: |_| 1.0,
    registers: V::COUNT,
    unpacks: &[Unpack::Planes, Unpack::Shift, Unpack::Telescope, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    frame: aarch64::frame::<NeonDot>(),
};

/// Registers for unpacked codes, which vectors use in turn.
const TEMPORARIES: usize = 2;

pub(super) struct NeonDot {
    spec: KernelSpec,
    weights: Weights,
    acts: Acts,
    /// `[set][vector][token]`, flattened.
    accumulators: Vec<V>,
    temporaries: [V; TEMPORARIES],
}

impl NeonDot {
    fn accumulators(spec: &KernelSpec, vectors: usize) -> usize {
        spec.schedule.unpack.accumulators() * vectors * spec.tile.mr
    }

    fn acc(&self, set: usize, vector: usize, token: usize) -> V {
        self.accumulators[(set * self.weights.raw.len() + vector) * self.spec.tile.mr + token]
    }

    /// Adds the dot products of `codes` and the group in lane `lane` of every token.
    fn dot(&self, asm: &mut Asm, set: usize, vector: usize, codes: V, lane: usize) {
        for (token, &acts) in self.acts.vectors().iter().enumerate() {
            asm.sdot_lane(self.acc(set, vector, token), codes, acts, lane);
        }
    }
}

impl Dialect for NeonDot {
    const DOT: DotProduct = DotProduct::Sdot;

    fn registers_needed(spec: &KernelSpec, vectors: usize) -> usize {
        Self::accumulators(spec, vectors) + Weights::registers(spec, vectors) + spec.tile.mr + TEMPORARIES
    }

    fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self {
        NeonDot {
            spec: *spec,
            weights: Weights::begin(spec, vectors, asm, registers),
            acts: Acts::take(spec.tile.mr, registers),
            accumulators: registers.take_many(Self::accumulators(spec, vectors)),
            temporaries: std::array::from_fn(|_| registers.take()),
        }
    }

    fn clear(&self, asm: &mut Asm) {
        self.accumulators.iter().for_each(|&acc| asm.zero(acc));
    }

    fn steps(&self, asm: &mut Asm, count: usize) {
        let (groups, vectors) = (self.spec.layout.packing.groups(), self.weights.raw.len());
        for step in 0..count {
            self.weights.load_step(asm);
            for group in 0..groups {
                let lane = self.acts.advance(asm, step * groups + group, count * groups);
                for vector in 0..vectors {
                    if self.spec.schedule.unpack == Unpack::Telescope {
                        // A += gᵢ·xᵢ and B += gᵢ₊₁·xᵢ: see the frame's documentation.
                        self.dot(asm, 0, vector, self.weights.raw[vector], lane);
                        self.weights.triple(asm, vector);
                        self.dot(asm, 1, vector, self.weights.raw[vector], lane);
                        continue;
                    }
                    let set = if self.spec.schedule.unpack == Unpack::Planes { group } else { 0 };
                    let codes =
                        self.weights.codes(asm, self.temporaries[vector % TEMPORARIES], group, vector);
                    self.dot(asm, set, vector, codes, lane);
                }
            }
        }
    }

    fn sums(&self, asm: &mut Asm) -> Vec<V> {
        let one_set = self.weights.raw.len() * self.spec.tile.mr;
        let (sums, others) = self.accumulators.split_at(one_set);
        match self.spec.schedule.unpack {
            // The highest plane was shifted down before the multiplication, because `sdot` would
            // read its bytes as negative numbers.
            Unpack::Planes => {
                for (plane, parts) in others.chunks_exact(one_set).enumerate() {
                    for (&sum, &part) in sums.iter().zip(parts) {
                        if plane < 2 {
                            asm.sshr_s(part, part, 2 * (plane as u32 + 1));
                        }
                        asm.add_s(sum, sum, part);
                    }
                }
            }
            Unpack::Telescope => {
                // (3·A - B) / 256, as 2·A + (A - B).
                for (&sum, &next) in sums.iter().zip(others) {
                    asm.sub_s(next, sum, next);
                    asm.add_s(sum, sum, sum);
                    asm.add_s(sum, sum, next);
                    asm.sshr_s(sum, sum, 8);
                }
            }
            _ => {}
        }
        sums.to_vec()
    }

    fn spare(&self) -> V {
        self.temporaries[0]
    }

    fn probe(asm: &mut Asm, sum: V, codes: V, acts: V) {
        asm.sdot_lane(sum, codes, acts, 0);
    }
}
