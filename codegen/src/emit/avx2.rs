//! AVX2 without VNNI: pair sums in 16-bit accumulators, folded into 32-bit sums on the stack.
//!
//! AVX2 has no dot product of four bytes. `vpmaddubsw` multiplies unsigned bytes by signed bytes and
//! adds adjacent products to 16 bits. `vpmaddwd` with ones then adds adjacent 16-bit sums to 32 bits:
//!
//! ```text
//! codes             2     1     0     2
//! activations     100   -50     7  -128
//! vpmaddubsw         150        -256        pair sums, in 16 bits
//! vpmaddwd by 1         -106                the dot product, in 32 bits
//! ```
//!
//! Doing both for every group would cost a second multiplication. So `vpaddw` first adds as many
//! pair sums as fit 16 bits: 64 of ternary codes. Then `fold` applies `vpmaddwd` once and adds to
//! 32-bit sums. These are on the stack, because the accumulators take the registers.

use tercet_cpu::DotProduct;

use super::Family;
use super::asm::{Asm, Gpr, Mem, Registers, V, Width};
use super::x86::{self, Dialect};
use crate::isa::{Architecture, Isa};
use crate::packing::BLOCK_BYTES;
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::Avx2,
    name: "avx2",
    architecture: Some(Architecture::X86_64),
    features: &["avx", "avx2"],
    dot: Some(Avx2::DOT),
    folds: true,
    dot_cost: |unpack| match unpack {
        // Pair sums of bytes do not fit 16 bits for long.
        Unpack::Direct => 3.0,
        _ => 2.0,
    },
    registers: Width::Ymm.registers(),
    unpacks: &[Unpack::Shift, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    frame: x86::frame::<Avx2>(),
};

struct Avx2 {
    /// True if 16 bits hold several pair sums. With codes of whole bytes, one pair sum fills them.
    gathers: bool,
    /// The pair sums that 16 bits hold.
    pair_sums: usize,
    product: V,
    ones: V,
    thresholds: Option<Thresholds>,
}

/// Returns the address of the 32-bit sums of accumulator `index`.
fn spilled(index: usize) -> Mem {
    Mem::at(Gpr::Rsp, (index * Width::Ymm.bytes()) as i32)
}

impl Dialect for Avx2 {
    const WIDTH: Width = Width::Ymm;
    const DOT: DotProduct = DotProduct::VpmaddubswYmm;

    fn constants(spec: &KernelSpec) -> usize {
        2 + Thresholds::registers(spec)
    }

    fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Self {
        let (product, ones) = (registers.take(), registers.take());
        asm.constant(ones, 0x0001_0001);
        let gathers = Self::frame_bytes(spec) > 0;
        let pair_sums = spec.pair_sums();
        Avx2 { gathers, pair_sums, product, ones, thresholds: Thresholds::prepare(spec, asm, registers) }
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
        self.pair_sums
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

    fn probe(asm: &mut Asm, sum: V, codes: V, acts: V, product: V) {
        asm.vpmaddubsw(product, codes, acts);
        asm.vpaddw(sum, sum, product);
    }
}

/// Extracts codes from running bytes by signed comparisons, because AVX2 has no unsigned ones.
///
/// A code is 1 if f ≥ 86, and 2 if f ≥ 171. Loaded bytes are biased by 128 once, so that signed
/// comparisons order them. Tripling keeps the bias: 3 · (f - 128) = 3 · f - 128 (mod 256). A
/// comparison gives -1 where it holds. So the code is the magnitude of the sum of both:
///
/// ```text
/// f = 184   184 > 85 gives -1, 184 > 170 gives -1, |-2| = 2
/// f = 120   120 > 85 gives -1, 120 > 170 gives  0, |-1| = 1
/// ```
pub(super) struct Thresholds {
    bias: V,
    one_carry: V,
    two_carries: V,
    /// The result of the second comparison.
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
