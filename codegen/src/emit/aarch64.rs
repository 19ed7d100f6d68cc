//! The frame that the AArch64 families share: addresses, passes, the loop over k, and the epilogue.
//!
//! Each token has its own address register, which loads advance. If the sums of a tile do not fit the
//! registers, the kernel makes two passes over k. Each pass computes one half of the rows.
//!
//! # 1.6-bit in signed bytes
//! `sdot` multiplies signed bytes, so the telescoping of the [x86-64 frame](super::x86) needs a twist.
//! One exclusive or per loaded byte makes g = f - 128, a signed byte. Tripling wraps to signed bytes,
//! and so it gives the next g. As 3·gᵢ - gᵢ₊₁ = 256·wᵢ, the sums need no zero point:
//!
//! ```text
//! f = 184, next f =  40    code = (3·184 -  40) / 256 = 2
//! g =  56, next g = -88       w = (3·56 - (-88)) / 256 = 1
//! ```

mod acts;
mod asm;
mod i8mm;
mod probe;
mod registers;
mod weights;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::mem::offset_of;
use std::ops::Range;

pub(super) use acts::Acts;
pub(super) use asm::Asm;
use asm::Label;
pub(super) use registers::{Registers, V, X};
pub(super) use weights::{Weights, carry};

use tercet_cpu::DotProduct;

use super::{Emitted, Frame};
use crate::spec::{Epilogue, KernelArgs, KernelSpec, Unpack};

/// Rows in a vector of 32-bit sums.
const ROWS: usize = 4;
/// Bytes in a vector.
const BYTES: usize = 16;

const ARGS: X = X::new(0);
const WEIGHTS: X = X::new(1);
const STEPS: X = X::new(2);
/// Address registers of the tokens. The sums of more tokens would not fit the vector registers.
pub(super) const TOKENS: [X; 13] = {
    let mut tokens = [X::new(3); 13];
    let mut token = 0;
    while token < tokens.len() {
        tokens[token] = X::new(3 + token as u8);
        token += 1;
    }
    tokens
};
const STRIDE: X = X::new(16);
const PREFETCH: X = X::new(17);

/// How an AArch64 family computes the sums of one pass.
pub(super) trait Dialect: Sized {
    /// The dot product of the kernels.
    const DOT: DotProduct;

    /// Returns the number of vector registers for a pass over `vectors` vectors of rows.
    fn registers_needed(spec: &KernelSpec, vectors: usize) -> usize;

    /// Takes these registers and loads the constants.
    fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self;

    /// Clears the sums.
    fn clear(&self, asm: &mut Asm);

    /// Adds the products of `count` consecutive steps.
    fn steps(&self, asm: &mut Asm, count: usize);

    /// Returns the registers with the sums, as `[vector][token]`, each for four rows of one token.
    ///
    /// The sums are Σ code·a, or Σ w·a with a [signed](is_signed) strategy.
    fn sums(&self, asm: &mut Asm) -> Vec<V>;

    /// Returns a register that holds neither sums nor constants.
    fn spare(&self) -> V;

    /// Adds products to `sum` in the loop of the probe.
    fn probe(asm: &mut Asm, sum: V, codes: V, acts: V);
}

/// Returns the frame of a family.
pub(super) const fn frame<D: Dialect>() -> Frame {
    Frame {
        registers_needed: registers_needed::<D>,
        rows_at_once: rows_at_once::<D>,
        emit: Some(emit::<D>),
        sparse: None,
        reads: || vec![probe::read()],
        dots: Some(probe::dots::<D>),
    }
}

/// Returns true if the strategy multiplies signed bytes, so that its sums have no zero point.
pub(super) fn is_signed(unpack: Unpack) -> bool {
    unpack == Unpack::Telescope
}

/// Returns the vectors of rows in one pass.
fn vectors<D: Dialect>(spec: &KernelSpec) -> usize {
    let vectors = spec.tile.nr / ROWS;
    if D::registers_needed(spec, vectors) <= V::COUNT { vectors } else { vectors / 2 }
}

/// Returns the rows in one pass.
fn rows_at_once<D: Dialect>(spec: &KernelSpec) -> usize {
    vectors::<D>(spec) * ROWS
}

/// Returns the number of vector registers that `spec` needs.
fn registers_needed<D: Dialect>(spec: &KernelSpec) -> usize {
    D::registers_needed(spec, vectors::<D>(spec))
}

/// Emits a validated spec.
fn emit<D: Dialect>(spec: &KernelSpec) -> Emitted {
    let mut asm = Asm::new();
    let loop_body = Kernel::<D>::new(spec).emit(&mut asm);
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

struct Kernel<'a, D> {
    spec: &'a KernelSpec,
    vectors: usize,
    dialect: PhantomData<D>,
}

impl<'a, D: Dialect> Kernel<'a, D> {
    fn new(spec: &'a KernelSpec) -> Self {
        assert!(spec.tile.mr <= TOKENS.len(), "the sums of this many tokens do not fit the registers");
        Kernel { spec, vectors: vectors::<D>(spec), dialect: PhantomData }
    }

    /// Emits the kernel and returns the offsets of the last pass's unrolled loop.
    fn emit(&self, asm: &mut Asm) -> Range<usize> {
        asm.mark("constants");
        let mut registers = Registers::default();
        let needed = D::registers_needed(self.spec, self.vectors);
        let saves = needed > V::VOLATILE;
        if saves {
            asm.save_callers_vectors();
        }
        let dialect = D::begin(self.spec, self.vectors, asm, &mut registers);
        debug_assert_eq!(registers.taken(), needed, "{}", self.spec);
        if self.spec.schedule.prefetch.near > 0 {
            asm.mov_imm(PREFETCH, self.spec.schedule.prefetch.near as u32);
        }
        let tile = asm.new_label();
        asm.bind(tile);
        let passes = self.spec.tile.nr / ROWS / self.vectors;
        let mut body = 0..0;
        for pass in 0..passes {
            if passes > 1 {
                let rows = pass * self.vectors * ROWS;
                asm.mark(format!("rows {rows} to {}", rows + self.vectors * ROWS - 1));
            }
            dialect.clear(asm);
            body = self.loop_over_k(asm, &dialect, pass);
            asm.mark("combine accumulators");
            let sums = dialect.sums(asm);
            self.store(asm, &sums, dialect.spare(), pass);
        }
        self.next_tile(asm, tile);
        if saves {
            asm.restore_callers_vectors();
        }
        asm.ret();
        body
    }

    /// Sets each token's address: the first from field `first` of the arguments, and the others by
    /// the stride.
    fn point_at_tokens(&self, asm: &mut Asm, first: usize, stride: usize) {
        asm.ldr_x(TOKENS[0], ARGS, first as u32);
        if self.spec.tile.mr > 1 {
            asm.ldr_x(STRIDE, ARGS, stride as u32);
        }
        for pair in TOKENS[..self.spec.tile.mr].windows(2) {
            asm.add(pair[1], pair[0], STRIDE);
        }
    }

    fn loop_over_k(&self, asm: &mut Asm, dialect: &D, pass: usize) -> Range<usize> {
        asm.mark("addresses");
        asm.ldr_x(WEIGHTS, ARGS, offset_of!(KernelArgs, weights) as u32);
        if pass > 0 {
            asm.add_imm(WEIGHTS, (pass * self.vectors * BYTES) as u32);
        }
        self.point_at_tokens(asm, offset_of!(KernelArgs, acts), offset_of!(KernelArgs, act_stride));
        asm.ldr_x(STEPS, ARGS, offset_of!(KernelArgs, steps) as u32);

        let (ku, step) = (self.spec.tile.ku, self.spec.layout.packing.step());
        let (unrolled, rest, single, done) =
            (asm.new_label(), asm.new_label(), asm.new_label(), asm.new_label());
        if ku > 1 {
            asm.subs_imm(STEPS, ku as u32);
            asm.b_lo(rest);
        }
        asm.bind(unrolled);
        asm.mark(format!("loop: {ku} step(s) of {step} k"));
        let start = asm.offset();
        dialect.steps(asm, ku);
        asm.subs_imm(STEPS, ku as u32);
        if ku == 1 {
            asm.b_ne(unrolled);
            return start..asm.offset();
        }
        asm.b_hs(unrolled);
        let body = start..asm.offset();
        asm.mark("remaining steps");
        asm.bind(rest);
        asm.adds_imm(STEPS, ku as u32);
        asm.b_eq(done);
        asm.bind(single);
        dialect.steps(asm, 1);
        asm.subs_imm(STEPS, 1);
        asm.b_ne(single);
        asm.bind(done);
        body
    }

    /// Subtracts zero point · Σ a, scales if the epilogue asks for it, and stores.
    fn store(&self, asm: &mut Asm, sums: &[V], spare: V, pass: usize) {
        let (zero_points, factors) = (WEIGHTS, STEPS);
        let (signed, scaled) = (is_signed(self.spec.schedule.unpack), self.spec.epilogue == Epilogue::F32);
        asm.mark(match (signed, scaled) {
            (false, false) => "subtract zero point, store",
            (false, true) => "subtract zero point, convert, scale, store",
            (true, false) => "store",
            (true, true) => "convert, scale, store",
        });
        asm.ldr_x(zero_points, ARGS, offset_of!(KernelArgs, zero_points) as u32);
        asm.ldr_x(factors, ARGS, offset_of!(KernelArgs, factors) as u32);
        self.point_at_tokens(asm, offset_of!(KernelArgs, out), offset_of!(KernelArgs, out_stride));
        for (token, &row) in TOKENS[..self.spec.tile.mr].iter().enumerate() {
            let sums = sums.iter().skip(token).step_by(self.spec.tile.mr);
            if !signed {
                asm.ld1r_next(spare, zero_points);
                sums.clone().for_each(|&sum| asm.sub_s(sum, sum, spare));
            }
            if scaled {
                asm.ld1r_next(spare, factors);
            }
            for (vector, &sum) in sums.enumerate() {
                if scaled {
                    asm.scvtf_s(sum, sum);
                    asm.fmul_s(sum, sum, spare);
                }
                asm.str_q(sum, row, ((pass * self.vectors + vector) * BYTES) as u32);
            }
        }
    }

    /// Moves operands and outputs to the next tile and jumps to it, unless this was the last tile.
    fn next_tile(&self, asm: &mut Asm, tile: Label) {
        let (position, distance) = (WEIGHTS, STRIDE);
        let advance = |asm: &mut Asm, field: usize, by: &dyn Fn(&mut Asm)| {
            asm.ldr_x(position, ARGS, field as u32);
            by(asm);
            asm.str_x(position, ARGS, field as u32);
        };
        asm.mark("next tile");
        for (field, stride) in KernelArgs::BY_TILE {
            asm.ldr_x(distance, ARGS, stride as u32);
            advance(asm, field, &|asm| asm.add(position, position, distance));
        }
        let bytes = self.spec.tile.nr * size_of::<f32>();
        advance(asm, offset_of!(KernelArgs, out), &|asm| asm.add_imm(position, bytes as u32));
        advance(asm, offset_of!(KernelArgs, tiles), &|asm| asm.subs_imm(position, 1));
        asm.b_ne(tile);
    }
}
