//! AVX-VNNI: VEX-encoded 256-bit `vpdpbusd`, two vectors per panel, 16 registers.

use tercet_cpu::DotProduct;

use super::Family;
use super::asm::{Asm, Registers, V, Width};
use super::avx2::Thresholds;
use super::x86::{self, Dialect};
use crate::isa::{Architecture, Isa};
use crate::packing::Packing;
use crate::spec::KernelSpec;

pub(crate) const FAMILY: Family = Family {
    isa: Isa::AvxVnni,
    name: "avx-vnni",
    architecture: Some(Architecture::X86_64),
    features: &["avx", "avx2", "avx_vnni"],
    dot: Some(AvxVnni::DOT),
    folds: false,
    dot_cost: |_| 1.0,
    registers: Width::Ymm.registers(),
    unpacks: &x86::VNNI_UNPACKS,
    packing: Packing::Bits2,
    interleave: 1,
    frame: x86::frame::<AvxVnni>(),
};

struct AvxVnni {
    thresholds: Option<Thresholds>,
}

impl Dialect for AvxVnni {
    const WIDTH: Width = Width::Ymm;
    const DOT: DotProduct = DotProduct::VpdpbusdYmm;

    fn constants(spec: &KernelSpec) -> usize {
        Thresholds::registers(spec)
    }

    fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Self {
        AvxVnni { thresholds: Thresholds::prepare(spec, asm, registers) }
    }

    fn dot(&self, asm: &mut Asm, acc: V, codes: V, acts: V) {
        asm.vpdpbusd(acc, codes, acts);
    }

    fn bias(&self, asm: &mut Asm, running: V) {
        if let Some(thresholds) = &self.thresholds {
            thresholds.bias(asm, running);
        }
    }

    fn extract(&self, asm: &mut Asm, codes: V, running: V) {
        self.thresholds.as_ref().expect("taken by an extracting kernel").extract(asm, codes, running);
    }
}
