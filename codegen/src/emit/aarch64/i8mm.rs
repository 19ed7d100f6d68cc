//! The matrix product of the I8MM extension, which dynasm lacks.

use super::asm::Asm;
use super::registers::V;

impl Asm {
    /// Adds to the 2 × 2 sums of `d` the products of two rows of eight unsigned bytes, `n`, with two rows of eight signed
    /// bytes, `m`: lane 2·i + j gets row i of `n` times row j of `m`.
    pub(crate) fn usmmla(&mut self, d: V, n: V, m: V) {
        const USMMLA: u32 = 0x4E80_AC00;
        let [d, n, m] = [d, n, m].map(|v| u32::from(v.id()));
        self.word(USMMLA | m << 16 | n << 5 | d);
    }
}
