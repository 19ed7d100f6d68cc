//! The instructions of AMX.

use iced_x86::{Code, Instruction, Register};

use super::Asm;
use super::forms::memory;
use super::registers::{Mem, Tmm};

impl Asm {
    /// Configures the tiles with the 64 bytes at `m`, and clears them.
    pub(in crate::emit) fn ldtilecfg(&mut self, m: Mem) {
        self.encode(Instruction::with1(Code::VEX_Ldtilecfg_m512, memory(m)));
    }

    /// Ends the use of tiles.
    pub(in crate::emit) fn tilerelease(&mut self) {
        self.encode(Ok(Instruction::with(Code::VEX_Tilerelease)));
    }

    pub(in crate::emit) fn tilezero(&mut self, d: Tmm) {
        self.encode(Instruction::with1(Code::VEX_Tilezero_tmm, tmm(d)));
    }

    /// Loads the rows of a tile. Row r is at base + disp + r · index · scale.
    pub(in crate::emit) fn tileloadd(&mut self, d: Tmm, m: Mem) {
        self.encode(Instruction::with2(Code::VEX_Tileloadd_tmm_sibmem, tmm(d), memory(m)));
    }

    /// Stores the rows of a tile, with addresses as in [`Asm::tileloadd`].
    pub(in crate::emit) fn tilestored(&mut self, m: Mem, s: Tmm) {
        self.encode(Instruction::with2(Code::VEX_Tilestored_sibmem_tmm, memory(m), tmm(s)));
    }

    /// Adds dot products of four i8 of a row of `a` and four u8 of a column of `b` to the 32-bit elements of `d`.
    pub(in crate::emit) fn tdpbsud(&mut self, d: Tmm, a: Tmm, b: Tmm) {
        self.encode(Instruction::with3(Code::VEX_Tdpbsud_tmm_tmm_tmm, tmm(d), tmm(a), tmm(b)));
    }
}

fn tmm(tile: Tmm) -> Register {
    Register::TMM0 + u32::from(tile.id())
}
