//! NEON with I8MM: `usmmla` multiplies two rows with two tokens, eight k at a time. One token alone, and strategies with
//! several sets of sums, take `sdot`, which the CPUs with I8MM have as well.

use super::Family;
use super::aarch64::{self, Asm, Dialect, Registers, TOKENS, V, Weights, carry};
use super::neon_dot::NeonDot;
use crate::isa::Isa;
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(super) const FAMILY: Family = Family {
    isa: Isa::NeonI8mm,
    registers: V::COUNT,
    unpacks: &[Unpack::Planes, Unpack::Shift, Unpack::Telescope, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    registers_needed: aarch64::registers_needed::<NeonI8mm>,
    rows_at_once: aarch64::rows_at_once::<NeonI8mm>,
    emit: Some(aarch64::emit::<NeonI8mm>),
};

pub(super) enum NeonI8mm {
    Dot(NeonDot),
    Matrix(Matrix),
}

/// Whether `usmmla` does the work.
fn is_matrix(spec: &KernelSpec) -> bool {
    spec.tile.mr > 1 && matches!(spec.schedule.unpack, Unpack::Shift | Unpack::Extract)
}

impl Dialect for NeonI8mm {
    fn registers_needed(spec: &KernelSpec, vectors: usize) -> usize {
        match is_matrix(spec) {
            true => Matrix::registers_needed(spec, vectors),
            false => NeonDot::registers_needed(spec, vectors),
        }
    }

    fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self {
        match is_matrix(spec) {
            true => NeonI8mm::Matrix(Matrix::begin(spec, vectors, asm, registers)),
            false => NeonI8mm::Dot(NeonDot::begin(spec, vectors, asm, registers)),
        }
    }

    fn clear(&self, asm: &mut Asm) {
        match self {
            NeonI8mm::Dot(dot) => dot.clear(asm),
            NeonI8mm::Matrix(matrix) => matrix.clear(asm),
        }
    }

    fn steps(&self, asm: &mut Asm, count: usize) {
        match self {
            NeonI8mm::Dot(dot) => dot.steps(asm, count),
            NeonI8mm::Matrix(matrix) => matrix.steps(asm, count),
        }
    }

    fn sums(&self, asm: &mut Asm) -> Vec<V> {
        match self {
            NeonI8mm::Dot(dot) => dot.sums(asm),
            NeonI8mm::Matrix(matrix) => matrix.sums(asm),
        }
    }

    fn spare(&self) -> V {
        match self {
            NeonI8mm::Dot(dot) => dot.spare(),
            NeonI8mm::Matrix(matrix) => matrix.spare(),
        }
    }
}

/// Groups in an operand.
const OPERAND_GROUPS: usize = 2;
/// Nine, by which running bytes are multiplied for every two codes.
const NONUPLE: u8 = 9;

/// Tiles of two tokens and more.
pub(super) struct Matrix {
    spec: KernelSpec,
    weights: Weights,
    /// `[pair of tokens][part]`: a part is eight k of both tokens.
    acts: Vec<V>,
    /// `[vector][half][pair of tokens]`: a half is two of a vector's four rows.
    accumulators: Vec<V>,
    /// Of five trits, bytes of nine.
    nonuple: Option<V>,
    temporaries: [V; 2],
}

/// Pairs of groups in a step; the last may be half empty.
fn parts(spec: &KernelSpec) -> usize {
    spec.layout.packing.groups().div_ceil(OPERAND_GROUPS)
}

fn pairs(spec: &KernelSpec) -> usize {
    spec.tile.mr.div_ceil(2)
}

impl Matrix {
    fn registers_needed(spec: &KernelSpec, vectors: usize) -> usize {
        let constants = usize::from(spec.layout.packing == Packing::Trits5);
        let operands = pairs(spec) * parts(spec) + Weights::registers(spec, vectors);
        2 * vectors * pairs(spec) + operands + constants + 2
    }

    fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self {
        Matrix {
            spec: *spec,
            weights: Weights::begin(spec, vectors, asm, registers),
            acts: registers.take_many(pairs(spec) * parts(spec)),
            accumulators: registers.take_many(2 * vectors * pairs(spec)),
            nonuple: (spec.layout.packing == Packing::Trits5).then(|| {
                let nonuple = registers.take();
                asm.byte_constant(nonuple, NONUPLE);
                nonuple
            }),
            temporaries: std::array::from_fn(|_| registers.take()),
        }
    }

    fn clear(&self, asm: &mut Asm) {
        self.accumulators.iter().for_each(|&acc| asm.zero(acc));
    }

    fn steps(&self, asm: &mut Asm, count: usize) {
        for _ in 0..count {
            self.weights.load_step(asm);
            self.load_acts(asm);
            for vector in 0..self.weights.raw.len() {
                self.multiply(asm, vector);
            }
        }
    }

    /// Loads a step of every token and brings the tokens together in pairs.
    fn load_acts(&self, asm: &mut Asm) {
        const WHOLE: usize = 16;
        const LONE_GROUP: usize = 4;
        for (pair, acts) in self.acts.chunks_exact(parts(&self.spec)).enumerate() {
            let [.., last] = *acts else { unreachable!("a step has at least one part") };
            let other = self.load_pair(asm, last, pair, WHOLE);
            asm.zip1_d(acts[0], last, other);
            asm.zip2_d(acts[1], last, other);
            if acts.len() > 2 {
                let other = self.load_pair(asm, last, pair, LONE_GROUP);
                asm.zip1_d(last, last, other);
            }
        }
    }

    /// Loads the first token of a pair to `to`, and gives where the second is. A token without a partner stands for both;
    /// the sums of the second are left.
    fn load_pair(&self, asm: &mut Asm, to: V, pair: usize, bytes: usize) -> V {
        let (first, second) = (2 * pair, 2 * pair + 1);
        asm.ldr_next(to, TOKENS[first], bytes);
        if second == self.spec.tile.mr {
            return to;
        }
        asm.ldr_next(self.temporaries[0], TOKENS[second], bytes);
        self.temporaries[0]
    }

    /// Multiplies the four rows of one vector with every token.
    fn multiply(&self, asm: &mut Asm, vector: usize) {
        let (raw, [codes, lower]) = (self.weights.raw[vector], self.temporaries);
        // Beside each row's bytes those which hold its next group in the same place.
        match self.spec.layout.packing {
            Packing::Bits2 => asm.ushr_b(codes, raw, 2),
            _ => self.weights.triple_to(asm, codes, vector),
        }
        asm.zip1_s(lower, raw, codes);
        asm.zip2_s(raw, raw, codes);
        for (half, rows) in [lower, raw].into_iter().enumerate() {
            for part in 0..parts(&self.spec) {
                self.codes(asm, codes, rows, part);
                for pair in 0..pairs(&self.spec) {
                    let acts = self.acts[pair * parts(&self.spec) + part];
                    asm.usmmla(self.acc(vector, half, pair), codes, acts);
                }
            }
        }
    }

    /// The codes of two groups of two rows; parts come in order, each once.
    fn codes(&self, asm: &mut Asm, to: V, rows: V, part: usize) {
        match self.nonuple {
            None => {
                if part > 0 {
                    asm.ushr_b(rows, rows, 4);
                }
                self.weights.mask(asm, to, rows);
            }
            Some(nonuple) => {
                if part > 0 {
                    asm.mul_b(rows, rows, nonuple);
                }
                carry(asm, to, rows);
            }
        }
    }

    fn acc(&self, vector: usize, half: usize, pair: usize) -> V {
        self.accumulators[(2 * vector + half) * pairs(&self.spec) + pair]
    }

    /// Takes the lanes of two tokens apart.
    fn sums(&self, asm: &mut Asm) -> Vec<V> {
        let mut sums = Vec::new();
        for vector in 0..self.weights.raw.len() {
            for token in (0..self.spec.tile.mr).step_by(2) {
                let [first, second] = [0, 1].map(|half| self.acc(vector, half, token / 2));
                asm.mov(self.spare(), first);
                asm.uzp1_s(first, first, second);
                asm.uzp2_s(second, self.spare(), second);
                sums.extend([first, second].into_iter().take(self.spec.tile.mr - token));
            }
        }
        sums
    }

    fn spare(&self) -> V {
        self.temporaries[0]
    }
}
