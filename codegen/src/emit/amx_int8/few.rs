//! Products of packed bytes, for few tokens.
//!
//! The weights stream from memory. Sixteen steps at a time become tiles B in a ring that stays in the first-level cache.
//! Each group of a byte becomes a tile of codes. Bytes of the 1.6-bit packing become six tiles of running bytes f₀ to f₅.
//! The ring has two halves. While tiles of one half are multiplied, vectors fill the other.
//!
//! Running bytes need no extraction: [`Unpack::Telescope`] explains the two sets of sums. Tile fᵢ meets the activations
//! xᵢ in set 0, and xᵢ₋₁ in set 1.
//!
//! A tile has the activations of one group and sixteen steps, which are not neighbours in k. So the kernel reads them
//! [in the order of tiles](crate::activations::Activations::in_tiles). Its zeros behind the last step meet whatever the
//! ring holds there.

use std::mem::offset_of;
use std::ops::Range;

use super::super::asm::{Asm, Gpr, Mem, Tmm};
use super::super::x86;
use super::{ARGS, Kernel, ROW, ROW_STRIDE, STEPS, STRIDE, TILE, WEIGHTS};
#[cfg(doc)]
use crate::Unpack;
use crate::packing::{BLOCK_BYTES, Packing};
use crate::spec::{KernelArgs, TILE_STEPS};

/// Tiles of activations: those of one group and of the group before.
const A: [Tmm; 2] = [Tmm::new(4), Tmm::new(5)];
/// Tiles of codes or running bytes: one for each panel of a block.
pub(super) const B: [Tmm; 2] = [Tmm::new(6), Tmm::new(7)];

const ACTS: Gpr = Gpr::Rax;
/// The half of the ring that is multiplied.
const READ: Gpr = Gpr::R8;
/// The half of the ring that is filled.
const FILL: Gpr = Gpr::R9;
/// The row of a tile that a step fills, counted from the tile's end in bytes.
const ROW_TO_FILL: Gpr = Gpr::R11;

impl Kernel<'_> {
    /// Returns the bytes of the ring.
    pub(super) fn ring_bytes(&self) -> usize {
        2 * self.half_bytes()
    }

    fn half_bytes(&self) -> usize {
        B.len() * self.tiles_of_panel() * TILE
    }

    /// Returns the tiles that sixteen steps of a panel become.
    fn tiles_of_panel(&self) -> usize {
        self.spec.layout.packing.groups() + self.sets() - 1
    }

    /// Returns the address of a tile in a half of the ring.
    fn slot(&self, panel: usize, tile: usize) -> i32 {
        ((panel * self.tiles_of_panel() + tile) * TILE) as i32
    }

    /// Computes the sums of these panels, and returns the offsets of the loop over k.
    pub(super) fn multiply_few(&self, asm: &mut Asm, panels: &Range<usize>) -> Range<usize> {
        asm.mark("clear sums, addresses");
        for (set, panel) in (0..self.sets()).flat_map(|set| (0..panels.len()).map(move |p| (set, p))) {
            asm.tilezero(self.sums(0, set, panel));
        }
        let packing = self.spec.layout.packing;
        if packing != Packing::Trits5 {
            let [.., mask] = self.vectors;
            asm.constant(mask, u32::from_ne_bytes([(1 << packing.code_bits()) - 1; 4]));
        }
        asm.mov_load(WEIGHTS, Mem::at(ARGS, offset_of!(KernelArgs, weights) as i32));
        asm.mov_load(STEPS, Mem::at(ARGS, offset_of!(KernelArgs, steps) as i32));
        asm.mov_load(ACTS, Mem::at(ARGS, offset_of!(KernelArgs, acts) as i32));
        asm.mov_load(STRIDE, Mem::at(ARGS, offset_of!(KernelArgs, act_stride) as i32));
        asm.mov_imm32(ROW_STRIDE, ROW as u32);
        let ring = self.configuration() + BLOCK_BYTES as i32;
        asm.lea(FILL, Mem::at(Gpr::Rsp, ring));
        asm.lea(READ, Mem::at(Gpr::Rsp, ring + self.half_bytes() as i32));

        let (turn, last) = (asm.new_label(), asm.new_label());
        self.fill(asm, panels);
        asm.add_imm(STEPS, 0);
        asm.jz(last);
        asm.bind(turn);
        asm.mark(format!("loop: {TILE_STEPS} step(s) of {} k", packing.step()));
        let start = asm.offset();
        asm.xchg(READ, FILL);
        self.fill(asm, panels);
        self.multiply_half(asm, panels.len());
        asm.add_imm(STEPS, 0);
        asm.jnz(turn);
        let body = start..asm.offset();
        asm.bind(last);
        asm.xchg(READ, FILL);
        self.multiply_half(asm, panels.len());
        body
    }

    /// Spreads up to sixteen steps into one half of the ring.
    fn fill(&self, asm: &mut Asm, panels: &Range<usize>) {
        asm.mark("fill one half of the ring");
        let (step, done) = (asm.new_label(), asm.new_label());
        asm.mov_imm32(ROW_TO_FILL, 0);
        asm.sub_imm(ROW_TO_FILL, TILE as i32);
        asm.bind(step);
        x86::prefetch(asm, self.spec, WEIGHTS, panels.clone());
        for (panel, block) in panels.clone().enumerate() {
            self.spread(asm, panel, (block * BLOCK_BYTES) as i32);
        }
        asm.add_imm(WEIGHTS, self.step_bytes() as i32);
        asm.sub_imm(STEPS, 1);
        asm.jz(done);
        asm.add_imm(ROW_TO_FILL, ROW as i32);
        asm.jnz(step);
        asm.bind(done);
    }

    /// Spreads a block into one row of each of its panel's tiles.
    fn spread(&self, asm: &mut Asm, panel: usize, block: i32) {
        let [running, codes, .., mask] = self.vectors;
        asm.load(running, Mem::at(WEIGHTS, block));
        for tile in 0..self.tiles_of_panel() {
            let row = Mem::strided(FILL, ROW_TO_FILL, 1, self.slot(panel, tile + 1));
            match self.spec.layout.packing {
                Packing::Trits5 => {
                    if tile > 0 {
                        x86::triple(asm, running, codes);
                    }
                    asm.store(row, running);
                }
                packing => {
                    if tile > 0 {
                        asm.vpsrld(running, running, packing.code_bits() as u8);
                    }
                    asm.vand(codes, running, mask);
                    asm.store(row, codes);
                }
            }
        }
    }

    /// Multiplies one half of the ring.
    fn multiply_half(&self, asm: &mut Asm, panels: usize) {
        asm.mark("multiply the other half");
        let groups = self.spec.layout.packing.groups();
        for tile in 0..self.tiles_of_panel() {
            if tile < groups {
                asm.tileloadd(A[tile % 2], Mem::strided(ACTS, STRIDE, 1, (tile * ROW) as i32));
            }
            for (panel, b) in B.into_iter().enumerate().take(panels) {
                asm.tileloadd(b, Mem::strided(READ, ROW_STRIDE, 1, self.slot(panel, tile)));
                if tile < groups {
                    asm.tdpbsud(self.sums(0, 0, panel), A[tile % 2], b);
                }
                if tile > 0 && self.sets() == 2 {
                    asm.tdpbsud(self.sums(0, 1, panel), A[(tile - 1) % 2], b);
                }
            }
        }
        asm.add_imm(ACTS, (groups * ROW) as i32);
    }
}
