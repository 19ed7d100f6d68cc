//! AVX-512 VNNI: 512-bit vectors, one per panel, 32 registers.

use tercet_cpu::DotProduct;

use super::Family;
use super::asm::{Asm, Mask, Registers, V, Width};
use super::x86::{self, Dialect};
use crate::isa::{Architecture, Isa};
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::Avx512Vnni,
    name: "avx512-vnni",
    architecture: Some(Architecture::X86_64),
    features: &["avx512f", "avx512bw", "avx512vl", "avx512_vnni"],
    dot: Some(Avx512Vnni::DOT),
    folds: false,
    dot_cost: |_| 1.0,
    registers: Width::Zmm.registers(),
    unpacks: &x86::VNNI_UNPACKS,
    packing: Packing::Trits5,
    interleave: 4,
    frame: x86::frame::<Avx512Vnni>(),
};

pub(super) struct Avx512Vnni {
    /// Registers of bytes 86, 171 and 1, if the kernel extracts codes. A code is 1 if f ≥ 86, and 2
    /// if f ≥ 171.
    thresholds: Option<[V; 3]>,
}

impl Dialect for Avx512Vnni {
    const WIDTH: Width = Width::Zmm;
    const DOT: DotProduct = DotProduct::VpdpbusdZmm;

    fn constants(spec: &KernelSpec) -> usize {
        if spec.schedule.unpack == Unpack::Extract { 3 } else { 0 }
    }

    fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Self {
        let thresholds = (Self::constants(spec) > 0).then(|| {
            [86, 171, 1].map(|byte| {
                let register = registers.take();
                asm.constant(register, u32::from_ne_bytes([byte; 4]));
                register
            })
        });
        Avx512Vnni { thresholds }
    }

    fn dot(&self, asm: &mut Asm, acc: V, codes: V, acts: V) {
        asm.vpdpbusd(acc, codes, acts);
    }

    fn extract(&self, asm: &mut Asm, codes: V, running: V) {
        let [one_carry, two_carries, ones] = self.thresholds.expect("taken by an extracting kernel");
        asm.vpcmpnltub(Mask::K1, running, one_carry);
        asm.vpcmpnltub(Mask::K2, running, two_carries);
        asm.vmovdqu8_zeroing(codes, Mask::K1, ones);
        asm.vpaddb_masked(codes, Mask::K2, codes, ones);
    }
}
