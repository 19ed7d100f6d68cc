//! Plain NEON: products of bytes in 16-bit sums, folded into 32-bit sums of rows.
//!
//! A vector of weights has four rows of four k. `smull` and `smlal` multiply bytes into one 16-bit
//! lane per byte. So a row's sums take four lanes, and a vector's sums take two registers. `fold`
//! adds the lanes of a row: `addp` in pairs to 16 bits, and `sadalp` in pairs to 32 bits.

use tercet_cpu::DotProduct;

use super::Family;
use super::aarch64::{self, Acts, Asm, Dialect, Registers, V, Weights};
use crate::isa::{Architecture, Isa};
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::Neon,
    name: "neon",
    architecture: Some(Architecture::Aarch64),
    features: &["asimd"],
    dot: Some(Neon::DOT),
    folds: true,
    dot_cost: |_| 1.0,
    registers: V::COUNT,
    unpacks: &[Unpack::Shift, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    frame: aarch64::frame::<Neon>(),
};

/// The sums of four rows of one token.
#[derive(Clone, Copy)]
struct Sums {
    /// 16-bit sums of the first two rows, four lanes each.
    lower: V,
    /// 16-bit sums of the last two rows, four lanes each.
    upper: V,
    /// 32-bit sums, one lane per row.
    rows: V,
}

pub(super) struct Neon {
    spec: KernelSpec,
    weights: Weights,
    acts: Acts,
    /// One register per token, with its current group in every lane.
    groups: Vec<V>,
    /// `[vector][token]`, flattened.
    sums: Vec<Sums>,
    temporary: V,
}

impl Neon {
    /// Returns the number of products in a lane after which the sums must be folded. `addp` then adds two lanes in 16 bits.
    fn fold_after(&self) -> usize {
        self.spec.pair_sums()
    }

    /// Adds the products of one group. The first products after a fold overwrite the old sums.
    fn multiply(&self, asm: &mut Asm, group: usize, is_first: bool) {
        for (vector, sums) in self.sums.chunks_exact(self.spec.tile.mr).enumerate() {
            let codes = self.weights.codes(asm, self.temporary, group, vector);
            for (&Sums { lower, upper, .. }, &acts) in sums.iter().zip(&self.groups) {
                if is_first {
                    asm.smull(lower, codes, acts);
                    asm.smull2(upper, codes, acts);
                } else {
                    asm.smlal(lower, codes, acts);
                    asm.smlal2(upper, codes, acts);
                }
            }
        }
    }

    fn fold(&self, asm: &mut Asm) {
        for &Sums { lower, upper, rows } in &self.sums {
            asm.addp_h(lower, lower, upper);
            asm.sadalp_h(rows, lower);
        }
    }
}

impl Dialect for Neon {
    const DOT: DotProduct = DotProduct::Smlal;

    fn registers_needed(spec: &KernelSpec, vectors: usize) -> usize {
        const SUMS: usize = 3;
        let mr = spec.tile.mr;
        SUMS * vectors * mr + Weights::registers(spec, vectors) + 2 * mr + 1
    }

    fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self {
        let mr = spec.tile.mr;
        Neon {
            spec: *spec,
            weights: Weights::begin(spec, vectors, asm, registers),
            acts: Acts::take(mr, registers),
            groups: registers.take_many(mr),
            sums: (0..vectors * mr)
                .map(|_| Sums { lower: registers.take(), upper: registers.take(), rows: registers.take() })
                .collect(),
            temporary: registers.take(),
        }
    }

    fn clear(&self, asm: &mut Asm) {
        self.sums.iter().for_each(|sums| asm.zero(sums.rows));
    }

    fn steps(&self, asm: &mut Asm, count: usize) {
        let groups = self.spec.layout.packing.groups();
        let mut products = 0;
        for step in 0..count {
            self.weights.load_step(asm);
            for group in 0..groups {
                let lane = self.acts.advance(asm, step * groups + group, count * groups);
                for (&group, &acts) in self.groups.iter().zip(self.acts.vectors()) {
                    asm.dup_s(group, acts, lane);
                }
                self.multiply(asm, group, products == 0);
                products += 1;
                if products == self.fold_after() {
                    self.fold(asm);
                    products = 0;
                }
            }
        }
        if products > 0 {
            self.fold(asm);
        }
    }

    fn sums(&self, _: &mut Asm) -> Vec<V> {
        self.sums.iter().map(|sums| sums.rows).collect()
    }

    fn spare(&self) -> V {
        self.temporary
    }

    fn probe(asm: &mut Asm, sum: V, codes: V, acts: V) {
        asm.smlal(sum, codes, acts);
    }
}
