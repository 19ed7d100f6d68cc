//! NEON with I8MM: `usmmla` multiplies two rows by two tokens, eight k at a time.
//!
//! One token alone, the 4-bit packing, and strategies with several sets of sums use `sdot`. CPUs with I8MM have it too.
//!
//! An operand of `usmmla` needs eight consecutive k per row: two groups. So a vector's packed bytes
//! are copied and moved to the next group, and both are interleaved row by row:
//!
//! ```text
//! loaded bytes     row0 row1 row2 row3      the codes of groups 0, 1, ...
//! moved bytes      ROW0 ROW1 ROW2 ROW3      the codes of groups 1, 2, ...
//! first operand    row0 ROW0 row1 ROW1      groups 0 and 1 of rows 0 and 1
//! second operand   row2 ROW2 row3 ROW3      groups 0 and 1 of rows 2 and 3
//! ```
//!
//! Then each further pair of groups is two codes away: a shift by four bits, or a product with nine.

use tercet_cpu::DotProduct;

use super::Family;
use super::aarch64::{self, Asm, Dialect, Registers, TOKENS, V, Weights, carry};
use super::neon_dot::NeonDot;
use crate::isa::{Architecture, Isa};
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::NeonI8mm,
    name: "neon-i8mm",
    architecture: Some(Architecture::Aarch64),
    features: &["asimd", "asimddp", "i8mm"],
    dot: Some(NeonI8mm::DOT),
    folds: false,
    dot_cost: |_| 1.0,
    registers: V::COUNT,
    unpacks: &[Unpack::Planes, Unpack::Shift, Unpack::Telescope, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    frame: aarch64::frame::<NeonI8mm>(),
};

pub(super) enum NeonI8mm {
    /// With `sdot`.
    Dot(NeonDot),
    /// With `usmmla`.
    Matrix(Matrix),
}

/// Returns true if the kernel uses `usmmla`.
fn is_matrix(spec: &KernelSpec) -> bool {
    let is_ternary = Packing::TERNARY.contains(&spec.layout.packing);
    is_ternary && spec.tile.mr > 1 && matches!(spec.schedule.unpack, Unpack::Shift | Unpack::Extract)
}

impl Dialect for NeonI8mm {
    const DOT: DotProduct = DotProduct::Usmmla;

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

    fn probe(asm: &mut Asm, sum: V, codes: V, acts: V) {
        asm.usmmla(sum, codes, acts);
    }
}

/// Groups in an operand of `usmmla`.
const OPERAND_GROUPS: usize = 2;
/// The factor from the running byte of one code to that of the code after next: 3 · 3.
const NONUPLE: u8 = 9;

/// A kernel for two tokens or more.
pub(super) struct Matrix {
    spec: KernelSpec,
    weights: Weights,
    /// `[pair of tokens][part]`, where a part is eight k of both tokens.
    acts: Vec<V>,
    /// `[vector][half][pair of tokens]`, where a half is two of a vector's four rows.
    accumulators: Vec<V>,
    /// Bytes of [`NONUPLE`], for the 1.6-bit packing.
    nonuple: Option<V>,
    temporaries: [V; 2],
}

/// Returns the number of pairs of groups in a step. The last pair may have one group only.
fn parts(spec: &KernelSpec) -> usize {
    spec.layout.packing.groups().div_ceil(OPERAND_GROUPS)
}

/// Returns the number of pairs of tokens. The last pair may have one token only.
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

    /// Loads a step of every token and interleaves the tokens in pairs.
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

    /// Loads the first token of a pair to `to`, and returns the register of the second token.
    ///
    /// A token without a partner takes both places. The sums of the second place are never read.
    fn load_pair(&self, asm: &mut Asm, to: V, pair: usize, bytes: usize) -> V {
        let (first, second) = (2 * pair, 2 * pair + 1);
        asm.ldr_next(to, TOKENS[first], bytes);
        if second == self.spec.tile.mr {
            return to;
        }
        asm.ldr_next(self.temporaries[0], TOKENS[second], bytes);
        self.temporaries[0]
    }

    /// Multiplies the four rows of one vector by every token.
    fn multiply(&self, asm: &mut Asm, vector: usize) {
        let (raw, [codes, lower]) = (self.weights.raw[vector], self.temporaries);
        // `codes` gets the bytes whose next group is where `raw` has its current group.
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

    /// Unpacks the codes of two groups of two rows. Call it once per part, in order.
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

    /// Separates the sums of the two tokens of each pair.
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
