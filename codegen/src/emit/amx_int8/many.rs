//! Products of unpacked bytes, for many tokens.
//!
//! Sixteen consecutive blocks of a panel of unpacked bytes already have the layout of B. Six tiles hold the sums of three
//! tiles of tokens and two panels. A and B pass through one tile each.
//!
//! All tiles of tokens have the same height. The last one ends at the last token, so that it may overlap the one before.
//! Both compute the same outputs for the tokens that they share.

use std::mem::offset_of;
use std::ops::Range;

use super::super::asm::{Asm, Gpr, Mem, Tmm};
use super::{ARGS, Kernel, ROW, ROW_STRIDE, ROWS, STEPS, STRIDE, WEIGHTS};
use crate::packing::BLOCK_BYTES;
use crate::spec::KernelArgs;

/// Tile of activations.
const A: Tmm = Tmm::new(6);
/// Tile of codes.
const B: Tmm = Tmm::new(7);
/// The activations of each tile of tokens.
const TOKENS: [Gpr; 3] = [Gpr::Rax, Gpr::R8, Gpr::R9];

impl Kernel<'_> {
    /// Computes the sums of these panels, and returns the offsets of the loop over k.
    pub(super) fn multiply_many(&self, asm: &mut Asm, panels: &Range<usize>) -> Range<usize> {
        asm.mark("clear sums, addresses");
        for (tile, panel) in self.block(panels) {
            asm.tilezero(self.sums(tile, 0, panel));
        }
        asm.mov_load(WEIGHTS, Mem::at(ARGS, offset_of!(KernelArgs, weights) as i32));
        asm.mov_load(STEPS, Mem::at(ARGS, offset_of!(KernelArgs, steps) as i32));
        asm.mov_imm32(ROW_STRIDE, self.step_bytes() as u32);
        let [acts, stride] = [offset_of!(KernelArgs, acts), offset_of!(KernelArgs, act_stride)];
        asm.mov_load(STRIDE, Mem::at(ARGS, stride as i32));
        for (tile, &tokens) in TOKENS[..self.tiles()].iter().enumerate() {
            self.point_at_token(asm, tokens, acts, self.first_token(tile));
        }
        let turn = asm.new_label();
        asm.bind(turn);
        asm.mark(format!("loop: {ROWS} step(s) of {} k", ROW / ROWS));
        let start = asm.offset();
        let (mut loaded_a, mut loaded_b) = (None, None);
        for (tile, panel) in self.block(panels) {
            if loaded_a.replace(tile) != Some(tile) {
                asm.tileloadd(A, Mem::strided(TOKENS[tile], STRIDE, 1, 0));
            }
            if loaded_b.replace(panel) != Some(panel) {
                let disp = (panels.start + panel) * BLOCK_BYTES;
                asm.tileloadd(B, Mem::strided(WEIGHTS, ROW_STRIDE, 1, disp as i32));
            }
            asm.tdpbsud(self.sums(tile, 0, panel), A, B);
        }
        asm.add_imm(WEIGHTS, (ROWS * self.step_bytes()) as i32);
        TOKENS[..self.tiles()].iter().for_each(|&tokens| asm.add_imm(tokens, ROW as i32));
        asm.sub_imm(STEPS, ROWS as i32);
        asm.jnz(turn);
        start..asm.offset()
    }

    /// Returns the tiles of sums, each as its tile of tokens and its panel. Every other row goes back, so that
    /// consecutive tiles share an operand.
    fn block(&self, panels: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<> {
        let panels = panels.len();
        (0..self.tiles() * panels).map(move |i| {
            let (tile, panel) = (i / panels, i % panels);
            (tile, if tile % 2 == 0 { panel } else { panels - 1 - panel })
        })
    }
}
