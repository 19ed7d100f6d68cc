//! The weights of a step: loading packed bytes, and unpacking their codes.

use super::{Asm, BYTES, PREFETCH, Registers, V, WEIGHTS};
use crate::packing::{BLOCK_BYTES, Packing};
use crate::spec::{KernelSpec, Unpack};

/// The factor from the running byte of one code to that of the next.
const TRIPLE: u8 = 3;
/// f exclusive or 128 is f - 128 as a signed byte.
const SIGN: u8 = 128;

/// The packed bytes of a step's rows, one vector for four rows.
pub(crate) struct Weights {
    spec: KernelSpec,
    /// The packed bytes. For the 1.6-bit packing they are the running bytes, which change from code
    /// to code.
    pub(crate) raw: Vec<V>,
    constants: Vec<V>,
}

/// Returns the byte constants that a strategy keeps in registers.
fn constants(spec: &KernelSpec) -> &'static [u8] {
    match spec.schedule.unpack {
        Unpack::Planes => &[0x03, 0x0C, 0x30],
        Unpack::Shift if spec.layout.packing == Packing::Bits4 => &[0x0F],
        Unpack::Shift => &[0x03],
        Unpack::Telescope => &[TRIPLE, SIGN],
        Unpack::Extract => &[TRIPLE],
        Unpack::Direct | Unpack::Turns | Unpack::Lookup | Unpack::Once | Unpack::Tiles | Unpack::Ring => &[],
    }
}

impl Weights {
    /// Returns the number of registers that [`Weights::begin`] takes.
    pub(crate) fn registers(spec: &KernelSpec, vectors: usize) -> usize {
        vectors + constants(spec).len()
    }

    pub(crate) fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self {
        let raw = registers.take_many(vectors);
        let constants = constants(spec).iter().map(|&byte| {
            let register = registers.take();
            asm.byte_constant(register, byte);
            register
        });
        Weights { spec: *spec, raw, constants: constants.collect() }
    }

    /// Loads the bytes of a step and advances the address to the next step.
    pub(crate) fn load_step(&self, asm: &mut Asm) {
        for (pair, raw) in self.raw.chunks_exact(2).enumerate() {
            if self.spec.schedule.prefetch.near > 0 && (pair * 2 * BYTES).is_multiple_of(BLOCK_BYTES) {
                asm.prfm(WEIGHTS, PREFETCH);
            }
            asm.ldp_next(raw[0], raw[1], WEIGHTS);
        }
        let skipped = self.spec.layout.interleave * BLOCK_BYTES - self.raw.len() * BYTES;
        if skipped > 0 {
            asm.add_imm(WEIGHTS, skipped as u32);
        }
        if self.spec.schedule.unpack == Unpack::Telescope {
            self.raw.iter().for_each(|&raw| asm.eor(raw, raw, self.constants[1]));
        }
    }

    /// Unpacks the codes of one group of a vector's rows. Returns the register that holds them, which
    /// is `to` or the register of the loaded bytes.
    ///
    /// Call it once per group, in order.
    pub(crate) fn codes(&self, asm: &mut Asm, to: V, group: usize, vector: usize) -> V {
        let raw = self.raw[vector];
        let packing = self.spec.layout.packing;
        let down = group * packing.code_bits();
        match self.spec.schedule.unpack {
            Unpack::Direct | Unpack::Once => return raw,
            Unpack::Planes | Unpack::Shift if group + 1 == packing.groups() => {
                asm.ushr_b(to, raw, down as u32);
            }
            Unpack::Planes => asm.and(to, raw, self.constants[group]),
            Unpack::Shift if group == 0 => asm.and(to, raw, self.constants[0]),
            Unpack::Shift => {
                asm.ushr_b(to, raw, down as u32);
                asm.and(to, to, self.constants[0]);
            }
            Unpack::Extract => {
                if group > 0 {
                    self.triple(asm, vector);
                }
                carry(asm, to, raw);
            }
            Unpack::Telescope | Unpack::Turns | Unpack::Lookup | Unpack::Tiles | Unpack::Ring => {
                unreachable!("the strategy unpacks no codes on AArch64")
            }
        }
        to
    }

    /// Advances a vector's running bytes to the next code.
    pub(crate) fn triple(&self, asm: &mut Asm, vector: usize) {
        self.triple_to(asm, self.raw[vector], vector);
    }

    /// Computes the running bytes of the next code in `to`.
    pub(crate) fn triple_to(&self, asm: &mut Asm, to: V, vector: usize) {
        asm.mul_b(to, self.raw[vector], self.constants[0]);
    }

    /// Extracts the codes in the lowest two bits of every byte.
    pub(crate) fn mask(&self, asm: &mut Asm, to: V, bytes: V) {
        asm.and(to, bytes, self.constants[0]);
    }
}

/// Computes codes = ⌊3·running / 256⌋ in eight bits.
///
/// The halving addition of f and ⌊f / 2⌋ gives ⌊3·f / 4⌋, which still fits a byte. A shift by six
/// does the rest. For f = 184: (184 + 92) / 2 = 138, and 138 / 64 = 2.
pub(crate) fn carry(asm: &mut Asm, codes: V, running: V) {
    asm.ushr_b(codes, running, 1);
    asm.uhadd_b(codes, codes, running);
    asm.ushr_b(codes, codes, 6);
}
