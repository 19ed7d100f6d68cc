//! Kernels that visit the listed columns of a strip: see [`crate::sparse`].
//!
//! A turn puts four columns together and has their rows in four vectors, of which a pass keeps the sums of as many as
//! its registers hold.

mod rows;
mod unpack;

use std::mem::offset_of;

use super::super::asm::{Asm, Gpr, Mem, Registers, V, Width};
use super::super::{Emitted, SparseFrame};
use super::weights::triple;
use super::{ARGS, Dialect, telescope};
use crate::packing::{BLOCK_BYTES, PANEL_ROWS};
use crate::sparse::{FAR, NEAR, QUAD, STRIP_ROWS, VisitArgs};

/// Sums of the running bytes: five digits need six.
const SUMS: usize = 6;
/// Vectors of rows in four columns put together.
const VECTORS: usize = 4;

const WEIGHTS: Gpr = Gpr::Rsi;
const OFFSETS: Gpr = Gpr::Rdx;
const QUADS: Gpr = Gpr::Rcx;
const ACTS: Gpr = Gpr::Rax;
/// Offsets of the columns of a quad.
const COLUMNS: [Gpr; QUAD] = [Gpr::R8, Gpr::R9, Gpr::R10, Gpr::R11];

/// Returns the frame of a family with `vpdpbusd`.
pub(super) const fn frame<D: Dialect>() -> SparseFrame {
    let most_tokens = match D::WIDTH {
        Width::Ymm => 2,
        Width::Zmm => 4,
    };
    SparseFrame {
        most_tokens,
        visit: |tokens| visit(D::WIDTH, tokens),
        unpack: unpack::emit::<D>,
        lanes: D::WIDTH.bytes() / size_of::<i32>(),
        dots: rows::dots::<D>,
        unpack_rows: rows::unpack::<D>,
    }
}

/// Returns the vectors of rows in one pass.
fn vectors_at_once(width: Width, tokens: usize) -> usize {
    let fits =
        |vectors: &usize| SUMS * vectors * tokens + temporaries(*vectors) + tokens <= width.registers();
    [4, 2, 1].into_iter().find(fits).unwrap_or(1)
}

/// Returns the registers in which columns are put together.
const fn temporaries(vectors: usize) -> usize {
    if vectors == 1 { 2 } else { 3 }
}

/// Emits the kernel that visits columns for this number of tokens.
fn visit(width: Width, tokens: usize) -> Emitted {
    let mut asm = Asm::new(width);
    let mut registers = Registers::new(width);
    let at_once = vectors_at_once(width, tokens);
    let kernel = Kernel {
        width,
        tokens,
        at_once,
        sums: registers.take_many(SUMS * at_once * tokens),
        acts: registers.take_many(tokens),
        temporaries: registers.take_many(temporaries(at_once)),
    };
    let mut loop_body = 0..0;
    // A narrow vector holds a part of a block's bytes.
    for part in 0..BLOCK_BYTES / width.bytes() {
        for first in (0..VECTORS).step_by(at_once) {
            asm.mark(format!("clear sums of vectors {first} to {}", first + at_once - 1));
            kernel.sums.iter().for_each(|&sum| asm.zero(sum));
            asm.mov_load(WEIGHTS, Mem::at(ARGS, offset_of!(VisitArgs, weights) as i32));
            asm.mov_load(OFFSETS, Mem::at(ARGS, offset_of!(VisitArgs, offsets) as i32));
            asm.mov_load(ACTS, Mem::at(ARGS, offset_of!(VisitArgs, acts) as i32));
            asm.mov_load(QUADS, Mem::at(ARGS, offset_of!(VisitArgs, quads) as i32));
            let turn = asm.new_label();
            asm.bind(turn);
            asm.mark("loop: four columns");
            let start = asm.offset();
            kernel.prefetch(&mut asm, part == 0 && first == 0);
            kernel.quad(&mut asm, part, first);
            asm.add_imm(OFFSETS, (QUAD * size_of::<u32>()) as i32);
            asm.add_imm(ACTS, (QUAD * tokens) as i32);
            asm.sub_imm(QUADS, 1);
            asm.jnz(turn);
            loop_body = start..asm.offset();
            kernel.store(&mut asm, part, first);
        }
    }
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

struct Kernel {
    width: Width,
    tokens: usize,
    at_once: usize,
    /// `[vector][sum][token]`.
    sums: Vec<V>,
    acts: Vec<V>,
    temporaries: Vec<V>,
}

impl Kernel {
    fn sum(&self, vector: usize, sum: usize, token: usize) -> V {
        self.sums[(vector * SUMS + sum) * self.tokens + token]
    }

    /// Prefetches later columns. Only the first pass must ask memory for them.
    fn prefetch(&self, asm: &mut Asm, from_memory: bool) {
        let mut ahead = |columns: usize, prefetch: fn(&mut Asm, Mem)| {
            for (i, column) in COLUMNS.into_iter().enumerate() {
                asm.mov_load32(column, Mem::at(OFFSETS, ((columns + i) * size_of::<u32>()) as i32));
                prefetch(asm, Mem::strided(WEIGHTS, column, 1, 0));
            }
        };
        if from_memory {
            ahead(FAR - QUAD, Asm::prefetcht1);
        }
        ahead(NEAR, Asm::prefetcht0);
    }

    /// Adds the products of four columns to the sums of the vectors from `first` on.
    fn quad(&self, asm: &mut Asm, part: usize, first: usize) {
        for (i, column) in COLUMNS.into_iter().enumerate() {
            asm.mov_load32(column, Mem::at(OFFSETS, (i * size_of::<u32>()) as i32));
        }
        for (token, &acts) in self.acts.iter().enumerate() {
            asm.broadcast(acts, Mem::at(ACTS, (token * QUAD) as i32));
        }
        let column = |i: usize| Mem::strided(WEIGHTS, COLUMNS[i], 1, (part * self.width.bytes()) as i32);
        for vector in (first..first + self.at_once).step_by(self.at_once.min(2)) {
            let [ab, cd] = [self.temporaries[0], self.temporaries[1]];
            pairs(asm, column, vector >= 2, [ab, cd]);
            let vector = vector - first;
            if self.at_once > 1 {
                let lower = self.temporaries[2];
                asm.vpunpcklwd(lower, ab, cd);
                asm.vpunpckhwd(cd, ab, cd);
                self.add(asm, vector, lower, ab);
                self.add(asm, vector + 1, cd, ab);
            } else {
                let four = if first.is_multiple_of(2) { Asm::vpunpcklwd } else { Asm::vpunpckhwd };
                four(asm, ab, ab, cd);
                self.add(asm, vector, ab, cd);
            }
        }
    }

    /// Adds the products of the running bytes, which it changes, to the six sums of a vector.
    fn add(&self, asm: &mut Asm, vector: usize, running: V, scratch: V) {
        for sum in 0..SUMS {
            for (token, &acts) in self.acts.iter().enumerate() {
                asm.vpdpbusd(self.sum(vector, sum, token), running, acts);
            }
            if sum + 1 < SUMS {
                triple(asm, running, scratch);
            }
        }
    }

    /// Turns sums into rows, and stores them.
    fn store(&self, asm: &mut Asm, part: usize, first: usize) {
        let out = ACTS;
        asm.mark("rows from sums, store");
        asm.mov_load(out, Mem::at(ARGS, offset_of!(VisitArgs, out) as i32));
        for token in 0..self.tokens {
            for vector in 0..self.at_once {
                for digit in 0..SUMS - 1 {
                    let [sum, next] = [0, 1].map(|i| self.sum(vector, digit + i, token));
                    telescope(asm, sum, next, self.temporaries[0]);
                    let rows = digit * BLOCK_BYTES
                        + (first + vector) * PANEL_ROWS
                        + part * self.width.bytes() / size_of::<i32>();
                    let row = token * STRIP_ROWS + rows;
                    asm.store(Mem::at(out, (row * size_of::<i32>()) as i32), sum);
                }
            }
        }
    }
}

/// Loads four columns. The bytes of the first two alternate in `ab`, and those of the others in `cd`. These are the lower
/// eight of each 16 bytes, or the `upper` ones.
fn pairs(asm: &mut Asm, column: impl Fn(usize) -> Mem, upper: bool, [ab, cd]: [V; 2]) {
    let alternate = if upper { Asm::vpunpckhbw_load } else { Asm::vpunpcklbw_load };
    asm.load(ab, column(0));
    alternate(asm, ab, ab, column(1));
    asm.load(cd, column(2));
    alternate(asm, cd, cd, column(3));
}
