//! AVX-512 VNNI with VBMI: all of AVX-512 VNNI, and look-ups of bytes in tables.

use std::mem::offset_of;

use tercet_cpu::DotProduct;

use super::Family;
use super::asm::{Asm, Gpr, Mask, Mem, Registers, V, Width};
use super::avx512_vnni::{self, Avx512Vnni};
use super::x86::{self, Dialect};
use crate::isa::Isa;
use crate::packing::BLOCK_BYTES;
use crate::spec::{KernelArgs, KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::Avx512Vbmi,
    name: "avx512-vbmi",
    features: &["avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_vbmi"],
    unpacks: &[
        Unpack::Planes,
        Unpack::Shift,
        Unpack::Turns,
        Unpack::Telescope,
        Unpack::Extract,
        Unpack::Lookup,
        Unpack::Direct,
    ],
    frame: x86::frame::<Avx512Vbmi>(),
    ..avx512_vnni::FAMILY
};

pub(super) struct Avx512Vbmi {
    vnni: Avx512Vnni,
    /// Registers of the two tables, if the kernel looks bytes up.
    tables: Vec<V>,
}

/// Two tables of 256 bytes, in registers of 64 bytes.
const TABLE_REGISTERS: usize = 8;

impl Dialect for Avx512Vbmi {
    const WIDTH: Width = Width::Zmm;
    const DOT: DotProduct = Avx512Vnni::DOT;

    fn constants(spec: &KernelSpec) -> usize {
        match spec.schedule.unpack {
            Unpack::Lookup => TABLE_REGISTERS,
            _ => Avx512Vnni::constants(spec),
        }
    }

    fn prepare(spec: &KernelSpec, asm: &mut Asm, registers: &mut Registers) -> Self {
        let vnni = Avx512Vnni::prepare(spec, asm, registers);
        if spec.schedule.unpack != Unpack::Lookup {
            return Avx512Vbmi { vnni, tables: Vec::new() };
        }
        let tables = registers.take_many(TABLE_REGISTERS);
        asm.mov_load(Gpr::Rax, Mem::at(x86::ARGS, offset_of!(KernelArgs, tables) as i32));
        for (i, &register) in tables.iter().enumerate() {
            asm.load(register, Mem::at(Gpr::Rax, (i * BLOCK_BYTES) as i32));
        }
        Avx512Vbmi { vnni, tables }
    }

    fn dot(&self, asm: &mut Asm, acc: V, codes: V, acts: V) {
        self.vnni.dot(asm, acc, codes, acts);
    }

    fn extract(&self, asm: &mut Asm, codes: V, running: V) {
        self.vnni.extract(asm, codes, running);
    }

    /// `vpermi2b` looks up 128 entries at a time. So bytes below 128 use the lower half of a table,
    /// and the others use its upper half. Masks protect the bytes of the other half.
    fn look_up(&self, asm: &mut Asm, four: V, fifth: V) {
        let (upper, lower) = (Mask::K1, Mask::K2);
        asm.vpmovb2m(upper, fifth);
        asm.knotq(lower, upper);
        for (bytes, table) in [four, fifth].into_iter().zip(self.tables.chunks(4)) {
            asm.vpermi2b_masked(bytes, lower, table[0], table[1]);
            asm.vpermi2b_masked(bytes, upper, table[2], table[3]);
        }
    }
}
