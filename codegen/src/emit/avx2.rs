//! AVX2 without VNNI: `vpmaddubsw` pair sums in 16-bit accumulators, folded into 32-bit sums on the stack.

use super::Family;
use super::asm::{Asm, Gpr, Mem, Registers, V, Width};
use super::x86::{self, Dialect};
use crate::isa::Isa;
use crate::packing::BLOCK_BYTES;
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(super) const FAMILY: Family = Family {
    isa: Isa::Avx2,
    registers: Width::Ymm.registers(),
    unpacks: &[Unpack::Shift, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    registers_needed: x86::registers_needed::<Avx2>,
    rows_at_once: |spec| spec.tile.nr,
    emit: Some(x86::emit::<Avx2>),
};

/// Pair sums of ternary codes that an i16 holds: each is at least 2 · 2 · -128 = -512, and 64 · -512 = -32 768.
const PAIR_SUMS: usize = 64;

struct Avx2 {
    /// Whether pair sums are small enough to gather in 16 bits: codes of bytes fill them at once.
    gathers: bool,
    product: V,
    ones: V,
    thresholds: Option<Thresholds>,
}

fn spilled(index: usize) -> Mem {
    Mem::at(Gpr::Rsp, (index * Width::Ymm.bytes()) as i32)
}

impl Dialect for Avx2 {
    const WIDTH: Width = Width::Ymm;

    fn constants(spec: &KernelSpec) -> usize {
        2 + Thresholds::registers(spec)
    }

    fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Self {
        let (product, ones) = (registers.take(), registers.take());
        asm.constant(ones, 0x0001_0001);
        let gathers = Self::frame_bytes(spec) > 0;
        Avx2 { gathers, product, ones, thresholds: Thresholds::prepare(spec, asm, registers) }
    }

    fn begin_tile(&self, spec: &KernelSpec, asm: &mut Asm) {
        asm.zero(self.product);
        for index in 0..Self::frame_bytes(spec) / Width::Ymm.bytes() {
            asm.store(spilled(index), self.product);
        }
    }

    fn dot(&self, asm: &mut Asm, acc: V, codes: V, acts: V) {
        asm.vpmaddubsw(self.product, codes, acts);
        if self.gathers {
            asm.vpaddw(acc, acc, self.product);
        } else {
            asm.vpmaddwd(self.product, self.product, self.ones);
            asm.vpaddd(acc, acc, self.product);
        }
    }

    fn bias(&self, asm: &mut Asm, running: V) {
        if let Some(thresholds) = &self.thresholds {
            thresholds.bias(asm, running);
        }
    }

    fn extract(&self, asm: &mut Asm, codes: V, running: V) {
        self.thresholds.as_ref().expect("taken by an extracting kernel").extract(asm, codes, running);
    }

    fn fold_after(&self) -> usize {
        PAIR_SUMS
    }

    fn fold(&self, asm: &mut Asm, accumulators: &[V]) {
        for (index, &acc) in accumulators.iter().enumerate().filter(|_| self.gathers) {
            asm.vpmaddwd(self.product, acc, self.ones);
            asm.vpaddd_load(self.product, self.product, spilled(index));
            asm.store(spilled(index), self.product);
            asm.zero(acc);
        }
    }

    fn unfold(&self, asm: &mut Asm, accumulators: &[V]) {
        for (index, &acc) in accumulators.iter().enumerate().filter(|_| self.gathers) {
            asm.load(acc, spilled(index));
        }
    }

    fn frame_bytes(spec: &KernelSpec) -> usize {
        match spec.schedule.unpack {
            Unpack::Direct => 0,
            _ => spec.tile.panels() * BLOCK_BYTES * spec.tile.mr,
        }
    }
}

/// Extraction of trits by signed byte comparisons, which is what VEX has.
///
/// The running bytes are biased by 128 once when they are loaded; tripling modulo 256 keeps the bias,
/// for 3 · (f - 128) = 3 · f - 128 (mod 256).
pub(super) struct Thresholds {
    bias: V,
    one_carry: V,
    two_carries: V,
    /// Holds the second comparison.
    scratch: V,
}

impl Thresholds {
    pub(super) fn registers(spec: &KernelSpec) -> usize {
        if spec.schedule.unpack == Unpack::Extract { 4 } else { 0 }
    }

    pub(super) fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Option<Self> {
        let mut byte = |value: u8| {
            let register = registers.take();
            asm.constant(register, u32::from_ne_bytes([value; 4]));
            register
        };
        (Self::registers(spec) > 0).then(|| Thresholds {
            bias: byte(128),
            one_carry: byte(85u8.wrapping_sub(128)),
            two_carries: byte(170u8.wrapping_sub(128)),
            scratch: byte(0),
        })
    }

    pub(super) fn bias(&self, asm: &mut Asm, running: V) {
        asm.vpaddb(running, running, self.bias);
    }

    pub(super) fn extract(&self, asm: &mut Asm, codes: V, running: V) {
        asm.vpcmpgtb(codes, running, self.one_carry);
        asm.vpcmpgtb(self.scratch, running, self.two_carries);
        asm.vpaddb(codes, codes, self.scratch);
        asm.vpabsb(codes, codes);
    }
}
