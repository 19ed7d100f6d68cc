//! The frame that the x86-64 families share: addresses, the loop over k, and the epilogue.
//!
//! A turn of the loop goes step by step and, within a step, group by group. A group has two sets of
//! operands: unpacked weights, one vector per part of a panel, and broadcast activations, one vector
//! per token. The smaller set stays in registers. The larger set passes through one register.

mod sparse;
mod weights;

use std::mem::offset_of;
use std::ops::Range;

use tercet_cpu::DotProduct;

use super::asm::{Asm, Gpr, Label, Mem, Registers, V, Width};
use super::{Emitted, Frame, probe};
use crate::packing::BLOCK_BYTES;
use crate::spec::{Epilogue, KernelArgs, KernelSpec, Prefetch, Unpack};
use weights::masks;
pub(super) use weights::triple;

/// The parts of a kernel that differ between the x86-64 families.
pub(super) trait Dialect {
    /// The width of vectors.
    const WIDTH: Width;
    /// The dot product of the kernels.
    const DOT: DotProduct;

    /// Returns the number of vector registers for constants and scratch.
    fn constants(spec: &KernelSpec) -> usize;

    /// Takes these registers and loads the constants.
    fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Self;

    /// Clears the sums that `fold` keeps in memory.
    fn begin_tile(&self, _spec: &KernelSpec, _asm: &mut Asm) {}

    /// Adds the four-element dot products of `codes` (unsigned) and `acts` (signed) to `acc`.
    fn dot(&self, asm: &mut Asm, acc: V, codes: V, acts: V);

    /// Adjusts the running bytes of the 1.6-bit packing after they are loaded.
    fn bias(&self, _asm: &mut Asm, _running: V) {}

    /// Computes codes = ⌊3·running / 256⌋, which the next multiplication by three carries out.
    fn extract(&self, asm: &mut Asm, codes: V, running: V);

    /// Looks up packed bytes, of which `four` and `fifth` both have a copy. `four` becomes the first
    /// four codes, in two bits each. `fifth` becomes the fifth code.
    fn look_up(&self, _asm: &mut Asm, _four: V, _fifth: V) {
        unreachable!("the family has no lookup tables")
    }

    /// Returns the number of dot products per accumulator after which [`Dialect::fold`] must run.
    fn fold_after(&self) -> usize {
        usize::MAX
    }

    /// Moves partial sums out of accumulators before they can overflow.
    fn fold(&self, _asm: &mut Asm, _accumulators: &[V]) {}

    /// Loads the 32-bit sums into the accumulators after the loop.
    fn unfold(&self, _asm: &mut Asm, _accumulators: &[V]) {}

    /// Returns the bytes of stack that `fold` uses.
    fn frame_bytes(_spec: &KernelSpec) -> usize {
        0
    }

    /// Adds dot products to `sum` in the loop of the probe. `_product` is free.
    fn probe(asm: &mut Asm, sum: V, codes: V, acts: V, _product: V) {
        asm.vpdpbusd(sum, codes, acts);
    }
}

/// Returns the frame of a family.
pub(super) const fn frame<D: Dialect>() -> Frame {
    Frame {
        registers_needed: registers_needed::<D>,
        rows_at_once: |spec| spec.tile.nr,
        emit: Some(emit::<D>),
        sparse: match D::DOT {
            DotProduct::VpdpbusdYmm | DotProduct::VpdpbusdZmm => Some(sparse::frame::<D>()),
            _ => None,
        },
        reads: || probe::reads(D::WIDTH),
        dots: Some(probe::dots::<D>),
    }
}

/// Strategies of the families with `vpdpbusd`.
pub(super) const VNNI_UNPACKS: [Unpack; 6] =
    [Unpack::Planes, Unpack::Shift, Unpack::Turns, Unpack::Telescope, Unpack::Extract, Unpack::Direct];

const WEIGHTS: Gpr = Gpr::Rsi;
const STRIDE: Gpr = Gpr::Rdx;
const STEPS: Gpr = Gpr::Rcx;
pub(super) const ARGS: Gpr = Gpr::Rdi;
/// Base addresses of tokens. Each serves three tokens: base, base + stride and base + 2 · stride.
const TOKEN_BASES: [Gpr; 5] = [Gpr::Rax, Gpr::R8, Gpr::R9, Gpr::R10, Gpr::R11];

/// Returns the number of vectors that hold the rows of a tile.
fn vectors(spec: &KernelSpec, width: Width) -> usize {
    spec.tile.panels() * BLOCK_BYTES / width.bytes()
}

/// Returns true if activations stay in registers, false if weights do.
fn holds_acts(spec: &KernelSpec, width: Width) -> bool {
    spec.schedule.unpack == Unpack::Telescope || spec.tile.mr <= vectors(spec, width)
}

/// Returns the number of registers for weights, for activations, and for the packed bytes of a step.
fn operands<D: Dialect>(spec: &KernelSpec) -> [usize; 3] {
    let vectors = vectors(spec, D::WIDTH);
    let [weights, acts] = if holds_acts(spec, D::WIDTH) { [1, spec.tile.mr] } else { [vectors, 1] };
    let unpack = spec.schedule.unpack;
    let bytes = match unpack {
        Unpack::Telescope | Unpack::Extract => vectors,
        Unpack::Lookup => 2 * vectors,
        // Without registers for the bytes, each group loads them again. That takes load slots.
        Unpack::Planes | Unpack::Shift => {
            let others =
                accumulators(spec, D::WIDTH) + weights + acts + masks(spec).len() + D::constants(spec);
            if others + vectors <= D::WIDTH.registers() { vectors } else { 0 }
        }
        Unpack::Turns | Unpack::Direct | Unpack::Once | Unpack::Tiles | Unpack::Ring => 0,
    };
    [weights, acts, bytes]
}

fn accumulators(spec: &KernelSpec, width: Width) -> usize {
    vectors(spec, width) * spec.tile.mr * spec.schedule.unpack.accumulators()
}

/// Returns the number of vector registers that `spec` needs.
pub(super) fn registers_needed<D: Dialect>(spec: &KernelSpec) -> usize {
    let operands: usize = operands::<D>(spec).iter().sum();
    accumulators(spec, D::WIDTH) + operands + masks(spec).len() + D::constants(spec)
}

/// Emits a validated spec.
pub(super) fn emit<D: Dialect>(spec: &KernelSpec) -> Emitted {
    let mut asm = Asm::new(D::WIDTH);
    let kernel = Kernel::<D>::begin(spec, &mut asm);
    let tile = asm.new_label();
    asm.bind(tile);
    kernel.claim_output(&mut asm);
    let loop_body = kernel.passes(&mut asm);
    kernel.reduce(&mut asm);
    kernel.store(&mut asm);
    next_tile(spec, &mut asm, tile);
    if D::frame_bytes(spec) > 0 {
        asm.close_frame();
    }
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

struct Kernel<'a, D> {
    spec: &'a KernelSpec,
    dialect: D,
    /// `[set][vector][token]`, flattened.
    accumulators: Vec<V>,
    weights: Vec<V>,
    acts: Vec<V>,
    /// The packed bytes of a step, one register per vector. Empty if every group loads them again.
    /// With [`Unpack::Lookup`], the first four codes of each vector, and then the fifth codes.
    bytes: Vec<V>,
    masks: Vec<V>,
}

impl<'a, D: Dialect> Kernel<'a, D> {
    fn begin(spec: &'a KernelSpec, asm: &mut Asm) -> Self {
        asm.mark("constants");
        let frame = D::frame_bytes(spec);
        if frame > 0 {
            asm.open_frame(frame as i32);
        }
        let mut registers = Registers::new(D::WIDTH);
        let accumulators = registers.take_many(accumulators(spec, D::WIDTH));
        let [weights, acts, bytes] = operands::<D>(spec).map(|count| registers.take_many(count));
        let masks = registers.take_many(masks(spec).len());
        let dialect = D::prepare(spec, asm, &mut registers);
        debug_assert_eq!(registers.taken(), registers_needed::<D>(spec));
        for (&register, &byte) in masks.iter().zip(weights::masks(spec)) {
            asm.constant(register, u32::from_ne_bytes([byte; 4]));
        }
        Kernel { spec, dialect, accumulators, weights, acts, bytes, masks }
    }

    fn vectors(&self) -> usize {
        vectors(self.spec, D::WIDTH)
    }

    fn acc(&self, set: usize, vector: usize, token: usize) -> V {
        self.accumulators[(set * self.vectors() + vector) * self.spec.tile.mr + token]
    }

    /// Sets the base addresses: token 0 from field `first` of the arguments, then every third token.
    fn point_at_tokens(&self, asm: &mut Asm, first: usize, stride: usize) {
        asm.mov_load(TOKEN_BASES[0], Mem::at(ARGS, first as i32));
        asm.mov_load(STRIDE, Mem::at(ARGS, stride as i32));
        for pair in TOKEN_BASES[..self.spec.tile.mr.div_ceil(3)].windows(2) {
            asm.lea_three_strides(pair[1], pair[0], STRIDE);
        }
    }

    fn token(&self, token: usize, disp: usize) -> Mem {
        Mem::strided(TOKEN_BASES[token / 3], STRIDE, token % 3, disp as i32)
    }

    /// Prefetches the output's cache lines for writing, if there are several tokens.
    ///
    /// They arrive while the sums are computed. Stores to lines that are far away would delay the
    /// next call.
    fn claim_output(&self, asm: &mut Asm) {
        if self.spec.tile.mr == 1 {
            return;
        }
        asm.mark("prefetch output lines");
        self.point_at_tokens(asm, offset_of!(KernelArgs, out), offset_of!(KernelArgs, out_stride));
        let row_bytes = self.spec.tile.nr * size_of::<f32>();
        for token in 0..self.spec.tile.mr {
            (0..row_bytes).step_by(BLOCK_BYTES).for_each(|disp| asm.prefetchw(self.token(token, disp)));
        }
    }

    /// Emits the strategy's passes over k, and returns the offsets of the last unrolled loop.
    fn passes(&self, asm: &mut Asm) -> Range<usize> {
        asm.mark("clear accumulators");
        self.accumulators.iter().for_each(|&acc| asm.zero(acc));
        self.dialect.begin_tile(self.spec, asm);
        if self.spec.schedule.unpack != Unpack::Turns {
            return self.loop_over_k(asm, 0..self.spec.layout.packing.groups());
        }
        for plane in [3, 2, 1] {
            self.mask_plane(asm, plane);
            self.loop_over_k(asm, plane..plane + 1);
            asm.mark(format!("from plane {plane} to the next"));
            self.accumulators.iter().for_each(|&acc| asm.vpsrad(acc, acc, 2));
        }
        self.mask_plane(asm, 0);
        self.loop_over_k(asm, 0..1)
    }

    fn mask_plane(&self, asm: &mut Asm, plane: usize) {
        asm.constant(self.masks[0], u32::from_ne_bytes([3 << (2 * plane); 4]));
    }

    fn loop_over_k(&self, asm: &mut Asm, groups: Range<usize>) -> Range<usize> {
        asm.mark("addresses");
        asm.mov_load(WEIGHTS, Mem::at(ARGS, offset_of!(KernelArgs, weights) as i32));
        self.point_at_tokens(asm, offset_of!(KernelArgs, acts), offset_of!(KernelArgs, act_stride));
        asm.mov_load(STEPS, Mem::at(ARGS, offset_of!(KernelArgs, steps) as i32));

        let (ku, step) = (self.spec.tile.ku, self.spec.layout.packing.step());
        let (unrolled, rest, single, done) =
            (asm.new_label(), asm.new_label(), asm.new_label(), asm.new_label());
        if ku > 1 {
            asm.sub_imm(STEPS, ku as i32);
            asm.jb(rest);
        }
        asm.bind(unrolled);
        asm.mark(format!("loop: {ku} step(s) of {step} k"));
        let start = asm.offset();
        self.steps(asm, ku, groups.clone());
        asm.sub_imm(STEPS, ku as i32);
        if ku == 1 {
            asm.jnz(unrolled);
            return start..asm.offset();
        }
        asm.jae(unrolled);
        let body = start..asm.offset();
        asm.mark("remaining steps");
        asm.bind(rest);
        asm.add_imm(STEPS, ku as i32);
        asm.jz(done);
        asm.bind(single);
        self.steps(asm, 1, groups);
        asm.sub_imm(STEPS, 1);
        asm.jnz(single);
        asm.bind(done);
        body
    }

    fn steps(&self, asm: &mut Asm, count: usize, groups: Range<usize>) {
        let Self { spec, dialect, .. } = self;
        let fold_steps = dialect.fold_after() / groups.len();
        for step in 0..count {
            let first = step * spec.layout.interleave;
            prefetch(asm, spec, WEIGHTS, first..first + spec.tile.panels());
            match spec.schedule.unpack {
                Unpack::Telescope => self.telescoped_step(asm, step),
                _ => self.unpacked_step(asm, step, groups.clone()),
            }
            if (step + 1) % fold_steps == 0 && step + 1 < count {
                dialect.fold(asm, &self.accumulators);
            }
        }
        dialect.fold(asm, &self.accumulators);
        asm.add_imm(WEIGHTS, (count * spec.layout.interleave * BLOCK_BYTES) as i32);
        for &base in &TOKEN_BASES[..spec.tile.mr.div_ceil(3)] {
            asm.add_imm(base, (count * spec.layout.packing.step()) as i32);
        }
    }

    fn weight(&self, step: usize, vector: usize) -> Mem {
        let disp = step * self.spec.layout.interleave * BLOCK_BYTES + vector * D::WIDTH.bytes();
        Mem::at(WEIGHTS, disp as i32)
    }

    fn broadcast(&self, asm: &mut Asm, register: V, step: usize, group: usize, token: usize) {
        asm.broadcast(register, self.token(token, step * self.spec.layout.packing.step() + 4 * group));
    }

    /// Combines the accumulators, so that set 0 holds Σ code·a.
    fn reduce(&self, asm: &mut Asm) {
        asm.mark("combine accumulators");
        self.dialect.unfold(asm, &self.accumulators);
        for vector in 0..self.vectors() {
            for token in 0..self.spec.tile.mr {
                let sum = self.acc(0, vector, token);
                match self.spec.schedule.unpack {
                    Unpack::Shift
                    | Unpack::Turns
                    | Unpack::Extract
                    | Unpack::Lookup
                    | Unpack::Direct
                    | Unpack::Once
                    | Unpack::Tiles
                    | Unpack::Ring => {}
                    Unpack::Planes => {
                        for plane in 1..4 {
                            let part = self.acc(plane, vector, token);
                            asm.vpsrad(part, part, 2 * plane as u8);
                            asm.vpaddd(sum, sum, part);
                        }
                    }
                    Unpack::Telescope => {
                        let next = self.acc(1, vector, token);
                        telescope(asm, sum, next, next);
                    }
                }
            }
        }
    }

    /// Subtracts zero point · Σ a, scales if the epilogue asks for it, and stores.
    fn store(&self, asm: &mut Asm) {
        let (zero_points, factors) = (WEIGHTS, STEPS);
        asm.mark(match self.spec.epilogue {
            Epilogue::I32 => "subtract zero point, store",
            Epilogue::F32 => "subtract zero point, convert, scale, store",
        });
        asm.mov_load(zero_points, Mem::at(ARGS, offset_of!(KernelArgs, zero_points) as i32));
        asm.mov_load(factors, Mem::at(ARGS, offset_of!(KernelArgs, factors) as i32));
        self.point_at_tokens(asm, offset_of!(KernelArgs, out), offset_of!(KernelArgs, out_stride));
        let (zero_point, factor) = (self.weights[0], self.acts[0]);
        for token in 0..self.spec.tile.mr {
            asm.broadcast(zero_point, Mem::at(zero_points, 4 * token as i32));
            if self.spec.epilogue == Epilogue::F32 {
                asm.broadcast(factor, Mem::at(factors, 4 * token as i32));
            }
            for vector in 0..self.vectors() {
                let sum = self.acc(0, vector, token);
                asm.vpsubd(sum, sum, zero_point);
                if self.spec.epilogue == Epilogue::F32 {
                    asm.vcvtdq2ps(sum, sum);
                    asm.vmulps(sum, sum, factor);
                }
                asm.store(self.token(token, vector * D::WIDTH.bytes()), sum);
            }
        }
    }
}

/// Prefetches the blocks that lie the spec's distances behind `blocks`, which are counted from `weights`.
pub(super) fn prefetch(asm: &mut Asm, spec: &KernelSpec, weights: Gpr, blocks: Range<usize>) {
    let Prefetch { near, far } = spec.schedule.prefetch;
    for block in blocks {
        let ahead = |distance: usize| Mem::at(weights, (block * BLOCK_BYTES + distance) as i32);
        if far > 0 {
            asm.prefetcht1(ahead(far));
        }
        if near > 0 {
            asm.prefetcht0(ahead(near));
        }
    }
}

/// Computes Σ code·a from two sums of running bytes: sum = (3·sum - next) / 256. `rest` may be `next`.
pub(super) fn telescope(asm: &mut Asm, sum: V, next: V, rest: V) {
    // 2·sum + (sum - next)
    asm.vpsubd(rest, sum, next);
    asm.vpaddd(sum, sum, sum);
    asm.vpaddd(sum, sum, rest);
    asm.vpsrad(sum, sum, 8);
}

/// Moves to the next tile of rows. After the last tile, execution continues behind this code.
pub(super) fn next_tile(spec: &KernelSpec, asm: &mut Asm, tile: Label) {
    asm.mark("next tile");
    let (distance, row_bytes) = (WEIGHTS, spec.tile.nr * size_of::<f32>());
    for (field, stride) in KernelArgs::BY_TILE {
        asm.mov_load(distance, Mem::at(ARGS, stride as i32));
        asm.add_to(Mem::at(ARGS, field as i32), distance);
    }
    asm.add_imm_to(Mem::at(ARGS, offset_of!(KernelArgs, out) as i32), row_bytes as i32);
    asm.sub_imm_from(Mem::at(ARGS, offset_of!(KernelArgs, tiles) as i32), 1);
    asm.jnz(tile);
}
