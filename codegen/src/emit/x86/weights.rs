//! How packed bytes become operands of the dot product.
//!
//! **2-bit, in planes.** A byte holds four codes, one per group. The bits of one group in all bytes
//! are a plane. [`Unpack::Planes`] masks each plane in place:
//!
//! ```text
//! byte 0b10_01_00_10      codes 2, 0, 1, 2 of groups 0, 1, 2, 3
//! and 0x03 =   2 =  1·2   group 0
//! and 0x0C =   0 =  4·0   group 1
//! and 0x30 =  16 = 16·1   group 2
//! and 0xC0 = 128 = 64·2   group 3
//! ```
//!
//! So a plane costs one instruction. Each plane has its own accumulator, which holds 1, 4, 16 or 64
//! times the sum of its codes. Shifts by 0, 2, 4 and 6 bits after the loop divide exactly.
//! [`Unpack::Shift`] needs only one accumulator, but two instructions for most planes. With
//! [`Unpack::Turns`] one accumulator serves all planes in turn. Each plane makes a pass over k, the
//! highest first, and the sums are shifted by two bits between the passes.
//!
//! **1.6-bit, telescoping.** A byte f₀ holds five codes. Multiplying it by three carries out one code
//! after another. With fᵢ₊₁ = 3·fᵢ mod 256, code i is (3·fᵢ - fᵢ₊₁) / 256:
//!
//! ```text
//! group       0    1    2    3    4
//! f         184   40  120  104   56     the running byte
//! 3·f       552  120  360  312  168     = 256 · code + next f
//! next f     40  120  104   56  168
//! code        2    0    1    1    0
//! ```
//!
//! [`Unpack::Telescope`] never extracts these codes. It multiplies the running bytes themselves with
//! the activations x, in two accumulators: A += fᵢ·xᵢ and B += fᵢ₊₁·xᵢ. After the loop
//! Σ codeᵢ·xᵢ = (3·A - B) / 256. [`Unpack::Extract`] computes ⌊3·fᵢ / 256⌋ for each code instead, and
//! needs one accumulator.

use std::ops::Range;

use super::super::asm::{Asm, V};
use super::{Dialect, Kernel, holds_acts};
use crate::packing::Packing;
use crate::spec::{KernelSpec, Unpack};

/// Returns the byte masks that a strategy keeps in registers.
pub(super) fn masks(spec: &KernelSpec) -> &'static [u8] {
    match spec.schedule.unpack {
        Unpack::Planes => &[0x03, 0x0C, 0x30, 0xC0],
        Unpack::Shift if spec.layout.packing == Packing::Bits4 => &[0x0F],
        Unpack::Shift | Unpack::Lookup => &[0x03],
        // Every pass loads its own mask.
        Unpack::Turns => &[0xC0],
        _ => &[],
    }
}

impl<D: Dialect> Kernel<'_, D> {
    fn load_bytes(&self, asm: &mut Asm, step: usize) {
        for (i, &bytes) in self.bytes.iter().enumerate() {
            asm.load(bytes, self.weight(step, i % self.vectors()));
            self.dialect.bias(asm, bytes);
        }
        if self.spec.schedule.unpack == Unpack::Lookup {
            let (four, fifth) = self.bytes.split_at(self.vectors());
            four.iter().zip(fifth).for_each(|(&four, &fifth)| self.dialect.look_up(asm, four, fifth));
        }
    }

    /// Emits a step that unpacks codes. Each plane has its own set of accumulators with
    /// [`Unpack::Planes`]. Otherwise all groups add to one set.
    pub(super) fn unpacked_step(&self, asm: &mut Asm, step: usize, groups: Range<usize>) {
        let mr = self.spec.tile.mr;
        self.load_bytes(asm, step);
        for group in groups {
            let set = if self.spec.schedule.unpack == Unpack::Planes { group } else { 0 };
            if holds_acts(self.spec, D::WIDTH) {
                for token in 0..mr {
                    self.broadcast(asm, self.acts[token], step, group, token);
                }
                for vector in 0..self.vectors() {
                    let codes = self.unpack(asm, self.weights[0], step, group, vector);
                    for token in 0..mr {
                        self.dialect.dot(asm, self.acc(set, vector, token), codes, self.acts[token]);
                    }
                }
            } else {
                let codes: Vec<V> = (0..self.vectors())
                    .map(|vector| self.unpack(asm, self.weights[vector], step, group, vector))
                    .collect();
                for token in 0..mr {
                    self.broadcast(asm, self.acts[0], step, group, token);
                    for (vector, &codes) in codes.iter().enumerate() {
                        self.dialect.dot(asm, self.acc(set, vector, token), codes, self.acts[0]);
                    }
                }
            }
        }
    }

    /// Unpacks the codes of one group and returns the register that holds them. This is `codes`,
    /// unless another register holds the codes already.
    fn unpack(&self, asm: &mut Asm, codes: V, step: usize, group: usize, vector: usize) -> V {
        let at = self.weight(step, vector);
        match (self.spec.schedule.unpack, self.bytes.get(vector).copied()) {
            (Unpack::Planes, Some(bytes)) => asm.vand(codes, bytes, self.masks[group]),
            (Unpack::Planes, None) => asm.vand_load(codes, self.masks[group], at),
            (Unpack::Turns, _) => asm.vand_load(codes, self.masks[0], at),
            (Unpack::Lookup, _) if group == 4 => return self.bytes[self.vectors() + vector],
            (Unpack::Shift | Unpack::Lookup, Some(bytes)) => {
                if group > 0 {
                    asm.vpsrld(bytes, bytes, self.code_bits());
                }
                asm.vand(codes, bytes, self.masks[0]);
            }
            (Unpack::Shift, None) if group == 0 => asm.vand_load(codes, self.masks[0], at),
            (Unpack::Shift, None) => {
                asm.vpsrld_load(codes, at, self.code_bits() * group as u8);
                asm.vand(codes, codes, self.masks[0]);
            }
            (Unpack::Extract, Some(running)) => {
                if group > 0 {
                    triple(asm, running, codes);
                }
                self.dialect.extract(asm, codes, running);
            }
            (Unpack::Direct | Unpack::Once, _) => asm.load(codes, at),
            (Unpack::Extract | Unpack::Lookup, None)
            | (Unpack::Telescope | Unpack::Tiles | Unpack::Ring, _) => {
                unreachable!("extraction and look-ups keep the bytes; telescoping and tiles have no codes")
            }
        }
        codes
    }

    /// Emits a step of A += fᵢ·xᵢ and B += fᵢ₊₁·xᵢ, where fᵢ₊₁ = 3·fᵢ mod 256.
    ///
    /// The module's documentation has an example.
    pub(super) fn telescoped_step(&self, asm: &mut Asm, step: usize) {
        self.load_bytes(asm, step);
        for group in 0..self.spec.layout.packing.groups() {
            for (token, &acts) in self.acts.iter().enumerate() {
                self.broadcast(asm, acts, step, group, token);
            }
            for (vector, &running) in self.bytes.iter().enumerate() {
                for (token, &acts) in self.acts.iter().enumerate() {
                    self.dialect.dot(asm, self.acc(0, vector, token), running, acts);
                }
                triple(asm, running, self.weights[0]);
                for (token, &acts) in self.acts.iter().enumerate() {
                    self.dialect.dot(asm, self.acc(1, vector, token), running, acts);
                }
            }
        }
    }

    /// Returns the bits between the codes of a byte, for strategies that shift. A look-up gives codes of two bits.
    fn code_bits(&self) -> u8 {
        let packing = match self.spec.schedule.unpack {
            Unpack::Lookup => Packing::Bits2,
            _ => self.spec.layout.packing,
        };
        packing.code_bits() as u8
    }
}

/// Computes running = 3 · running mod 256, with the help of `scratch`.
pub(in crate::emit) fn triple(asm: &mut Asm, running: V, scratch: V) {
    asm.vpaddb(scratch, running, running);
    asm.vpaddb(running, running, scratch);
}
