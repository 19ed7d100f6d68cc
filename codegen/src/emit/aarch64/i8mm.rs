//! The matrix product of the I8MM extension. dynasm lacks it.

use super::asm::Asm;
use super::registers::V;

impl Asm {
    /// Adds a matrix product to the four 32-bit lanes of `d`.
    ///
    /// `n` is two rows of eight unsigned bytes, and `m` is two rows of eight signed bytes. Lane
    /// 2·i + j adds the dot product of row i of `n` and row j of `m`.
    pub(crate) fn usmmla(&mut self, d: V, n: V, m: V) {
        const USMMLA: u32 = 0x4E80_AC00;
        let [d, n, m] = [d, n, m].map(|v| u32::from(v.id()));
        self.word(USMMLA | m << 16 | n << 5 | d);
    }
}
