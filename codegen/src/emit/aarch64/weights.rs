//! Weights on their way from memory to operands.

use super::{Asm, BYTES, PREFETCH, Registers, V, WEIGHTS};
use crate::packing::BLOCK_BYTES;
use crate::spec::{KernelSpec, Unpack};

/// Three, by which running bytes are multiplied from code to code.
const TRIPLE: u8 = 3;
/// Turns f into f - 128 as a signed byte.
const SIGN: u8 = 128;

/// The packed bytes of a step's rows, one vector for four rows.
pub(crate) struct Weights {
    spec: KernelSpec,
    /// Bytes as they are loaded; of five trits, the running bytes.
    pub(crate) raw: Vec<V>,
    constants: Vec<V>,
}

/// The constants that a strategy keeps in registers.
fn constants(unpack: Unpack) -> &'static [u8] {
    match unpack {
        Unpack::Planes => &[0x03, 0x0C, 0x30],
        Unpack::Shift => &[0x03],
        Unpack::Telescope => &[TRIPLE, SIGN],
        Unpack::Extract => &[TRIPLE],
        Unpack::Direct | Unpack::Turns | Unpack::Lookup | Unpack::Once => &[],
    }
}

impl Weights {
    /// Registers that [`Weights::begin`] takes.
    pub(crate) fn registers(spec: &KernelSpec, vectors: usize) -> usize {
        vectors + constants(spec.schedule.unpack).len()
    }

    pub(crate) fn begin(spec: &KernelSpec, vectors: usize, asm: &mut Asm, registers: &mut Registers) -> Self {
        let raw = registers.take_many(vectors);
        let constants = constants(spec.schedule.unpack).iter().map(|&byte| {
            let register = registers.take();
            asm.byte_constant(register, byte);
            register
        });
        Weights { spec: *spec, raw, constants: constants.collect() }
    }

    /// Loads a step's bytes and moves on to the next step.
    pub(crate) fn load_step(&self, asm: &mut Asm) {
        for (pair, raw) in self.raw.chunks_exact(2).enumerate() {
            if self.spec.schedule.prefetch > 0 && (pair * 2 * BYTES).is_multiple_of(BLOCK_BYTES) {
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

    /// The codes of one group of a vector's rows, in `to` or where they were loaded. Groups come in order, each once.
    pub(crate) fn codes(&self, asm: &mut Asm, to: V, group: usize, vector: usize) -> V {
        let raw = self.raw[vector];
        match self.spec.schedule.unpack {
            Unpack::Direct | Unpack::Once => return raw,
            Unpack::Planes | Unpack::Shift if group == 3 => asm.ushr_b(to, raw, 6),
            Unpack::Planes => asm.and(to, raw, self.constants[group]),
            Unpack::Shift if group == 0 => asm.and(to, raw, self.constants[0]),
            Unpack::Shift => {
                asm.ushr_b(to, raw, 2 * group as u32);
                asm.and(to, to, self.constants[0]);
            }
            Unpack::Extract => {
                if group > 0 {
                    self.triple(asm, vector);
                }
                carry(asm, to, raw);
            }
            Unpack::Telescope | Unpack::Turns | Unpack::Lookup => {
                unreachable!("the strategy extracts no codes")
            }
        }
        to
    }

    /// Brings a vector's running bytes to the next code.
    pub(crate) fn triple(&self, asm: &mut Asm, vector: usize) {
        self.triple_to(asm, self.raw[vector], vector);
    }

    /// Leaves in `to` what a vector's running bytes are at the next code.
    pub(crate) fn triple_to(&self, asm: &mut Asm, to: V, vector: usize) {
        asm.mul_b(to, self.raw[vector], self.constants[0]);
    }

    /// The codes in the lowest two bits of every byte.
    pub(crate) fn mask(&self, asm: &mut Asm, to: V, bytes: V) {
        asm.and(to, bytes, self.constants[0]);
    }
}

/// codes = ⌊3·running / 256⌋: half of the sum of f and ⌊f / 2⌋ is ⌊3·f / 4⌋, in eight bits.
pub(crate) fn carry(asm: &mut Asm, codes: V, running: V) {
    asm.ushr_b(codes, running, 1);
    asm.uhadd_b(codes, codes, running);
    asm.ushr_b(codes, codes, 6);
}
