//! AMX with bytes: all of AVX-512 VNNI with VBMI, and products of tiles.
//!
//! A tile is a register of up to 16 rows of 64 bytes. `tdpbsud` adds the product of A and B to C:
//!
//! ```text
//! A   16 tokens × 64 activations     64 bytes of each token's row
//! B   16 steps × 16 rows × 4 codes   16 blocks, each with a step of a panel
//! C   16 tokens × 16 rows            sums in 32 bits
//! ```
//!
//! [`many`] multiplies unpacked bytes, for prompts. [`few`] spreads packed bytes into tiles while it multiplies, for a few
//! tokens.
//!
//! A kernel configures the tiles at its start and releases them at its end. A thread that computes nothing has no tiles to
//! save.

mod few;
mod many;

use std::mem::offset_of;
use std::ops::Range;

use super::asm::{Asm, Gpr, Mem, Registers, Tmm, V, Width};
use super::avx512_vbmi::{self, Avx512Vbmi};
use super::x86::{self, ARGS};
use super::{Emitted, Family, Frame};
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, PANEL_ROWS, Packing};
use crate::spec::{Epilogue, KernelArgs, KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::AmxInt8,
    name: "amx-int8",
    features: &["avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_vbmi", "amx_tile", "amx_int8"],
    // A product of tiles replaces 256 dot products of vectors in the time of 32.
    dot_cost: |unpack| if unpack.multiplies_tiles() { 1.0 / 8.0 } else { 1.0 },
    unpacks: &[
        Unpack::Planes,
        Unpack::Shift,
        Unpack::Turns,
        Unpack::Telescope,
        Unpack::Extract,
        Unpack::Lookup,
        Unpack::Direct,
        Unpack::Tiles,
        Unpack::Ring,
    ],
    frame: Frame {
        registers_needed: |spec| match spec.schedule.unpack {
            unpack if unpack.multiplies_tiles() => VECTORS,
            _ => x86::registers_needed::<Avx512Vbmi>(spec),
        },
        rows_at_once: |spec| match spec.schedule.unpack {
            unpack if unpack.multiplies_tiles() => spec.tile.nr.min(PANELS * PANEL_ROWS),
            _ => spec.tile.nr,
        },
        emit: Some(|spec| match spec.schedule.unpack {
            unpack if unpack.multiplies_tiles() => emit(spec),
            _ => x86::emit::<Avx512Vbmi>(spec),
        }),
        ..avx512_vbmi::FAMILY.frame
    },
    ..avx512_vbmi::FAMILY
};

/// Panels of a block of sums.
const PANELS: usize = 2;
/// Vector registers of a kernel.
const VECTORS: usize = 4;
/// Bytes of a row of a tile.
const ROW: usize = 64;
/// The most rows of a tile.
const ROWS: usize = 16;
/// Bytes of a whole tile.
const TILE: usize = ROWS * ROW;

const WEIGHTS: Gpr = Gpr::Rsi;
const STRIDE: Gpr = Gpr::Rdx;
const STEPS: Gpr = Gpr::Rcx;
/// Bytes from one row of B or of stored sums to the next.
const ROW_STRIDE: Gpr = Gpr::R10;

fn emit(spec: &KernelSpec) -> Emitted {
    let mut asm = Asm::new(Width::Zmm);
    let mut registers = Registers::new(Width::Zmm);
    let kernel = Kernel { spec, vectors: std::array::from_fn(|_| registers.take()) };
    kernel.configure(&mut asm);
    let tile = asm.new_label();
    asm.bind(tile);
    let mut loop_body = 0..0;
    for panel in (0..spec.tile.panels()).step_by(PANELS) {
        let panels = panel..spec.tile.panels().min(panel + PANELS);
        loop_body = match spec.schedule.unpack {
            Unpack::Ring => kernel.multiply_few(&mut asm, &panels),
            _ => kernel.multiply_many(&mut asm, &panels),
        };
        kernel.store(&mut asm, &panels);
    }
    x86::next_tile(spec, &mut asm, tile);
    asm.mark("release tiles");
    asm.tilerelease();
    asm.close_frame();
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

struct Kernel<'a> {
    spec: &'a KernelSpec,
    vectors: [V; VECTORS],
}

impl Kernel<'_> {
    /// Returns the number of tiles of tokens.
    fn tiles(&self) -> usize {
        self.spec.tile.mr.div_ceil(ROWS)
    }

    /// Returns the tokens of each tile.
    fn height(&self) -> usize {
        self.spec.tile.mr.div_ceil(self.tiles())
    }

    /// Returns the first token of a tile.
    fn first_token(&self, tile: usize) -> usize {
        (tile * self.height()).min(self.spec.tile.mr - self.height())
    }

    /// Returns the sets of sums. Running bytes have two, which telescope.
    fn sets(&self) -> usize {
        match (self.spec.schedule.unpack, self.spec.layout.packing) {
            (Unpack::Ring, Packing::Trits5) => 2,
            _ => 1,
        }
    }

    /// Returns the sums of one tile of tokens and one panel of a block.
    fn sums(&self, tile: usize, set: usize, panel: usize) -> Tmm {
        Tmm::new((tile * self.sets() + set) * PANELS + panel)
    }

    /// Returns the address of the stored sums of a panel of a block, on the stack.
    fn stored(set: usize, panel: usize) -> i32 {
        ((set * PANELS + panel) * TILE) as i32
    }

    /// Returns the address of the configuration. It follows the sums.
    fn configuration(&self) -> i32 {
        Self::stored(self.sets(), 0)
    }

    /// Opens the stack frame and configures the tiles: palette 1, 64 bytes in a row, and the number of rows.
    fn configure(&self, asm: &mut Asm) {
        const PALETTE: i32 = 0;
        const ROW_BYTES: i32 = 16;
        const HEIGHTS: i32 = 48;
        asm.mark("configure tiles");
        let (ring, tiles_of_codes) = match self.spec.schedule.unpack {
            Unpack::Ring => (self.ring_bytes(), few::B.len()),
            _ => (0, 1),
        };
        asm.open_frame(self.configuration() + (BLOCK_BYTES + ring) as i32);
        let at = |offset| Mem::at(Gpr::Rsp, self.configuration() + offset);
        asm.zero(self.vectors[0]);
        asm.store(at(0), self.vectors[0]);
        asm.mov_imm_to(at(PALETTE), 1);
        for pair in 0..Tmm::COUNT as i32 / 2 {
            asm.mov_imm_to(at(ROW_BYTES + 4 * pair), (ROW << 16 | ROW) as u32);
        }
        let mut heights = [self.height() as u8; Tmm::COUNT];
        heights[Tmm::COUNT - tiles_of_codes..].fill(ROWS as u8);
        for (four, heights) in heights.as_chunks().0.iter().enumerate() {
            asm.mov_imm_to(at(HEIGHTS + 4 * four as i32), u32::from_le_bytes(*heights));
        }
        asm.ldtilecfg(at(0));
    }

    /// Returns the bytes of one step of a row block.
    fn step_bytes(&self) -> usize {
        self.spec.layout.interleave * BLOCK_BYTES
    }

    /// Computes the address of a token: field `first` of the arguments plus `token` strides.
    fn point_at_token(&self, asm: &mut Asm, to: Gpr, first: usize, token: usize) {
        if token == 0 {
            asm.mov_load(to, Mem::at(ARGS, first as i32));
            return;
        }
        asm.imul(to, STRIDE, token as i32);
        asm.add_load(to, Mem::at(ARGS, first as i32));
    }

    /// Subtracts zero point · Σ a, scales if the epilogue asks for it, and stores.
    fn store(&self, asm: &mut Asm, panels: &Range<usize>) {
        let (zero_points, factors, out, offset, tokens) = (WEIGHTS, STEPS, Gpr::Rax, Gpr::R9, Gpr::R11);
        let [sum, next, zero_point, factor] = self.vectors;
        asm.mov_load(STRIDE, Mem::at(ARGS, offset_of!(KernelArgs, out_stride) as i32));
        asm.mov_imm32(ROW_STRIDE, ROW as u32);
        for tile in 0..self.tiles() {
            let first = self.first_token(tile);
            asm.mark(format!("store the sums of {} tokens, token {first} and later", self.height()));
            for (set, panel) in (0..self.sets()).flat_map(|set| (0..panels.len()).map(move |p| (set, p))) {
                let to = Mem::strided(Gpr::Rsp, ROW_STRIDE, 1, Self::stored(set, panel));
                asm.tilestored(to, self.sums(tile, set, panel));
            }
            asm.mov_load(zero_points, Mem::at(ARGS, offset_of!(KernelArgs, zero_points) as i32));
            asm.mov_load(factors, Mem::at(ARGS, offset_of!(KernelArgs, factors) as i32));
            self.point_at_token(asm, out, offset_of!(KernelArgs, out), first);
            asm.mov_imm32(offset, 0);
            asm.mov_imm32(tokens, self.height() as u32);
            let token = asm.new_label();
            asm.bind(token);
            let of_token = size_of::<i32>() as i32;
            asm.broadcast(zero_point, Mem::at(zero_points, first as i32 * of_token));
            if self.spec.epilogue == Epilogue::F32 {
                asm.broadcast(factor, Mem::at(factors, first as i32 * of_token));
            }
            for panel in 0..panels.len() {
                let stored = |set| Mem::strided(Gpr::Rsp, offset, 1, Self::stored(set, panel));
                asm.load(sum, stored(0));
                if self.sets() == 2 {
                    asm.load(next, stored(1));
                    x86::telescope(asm, sum, next, next);
                }
                asm.vpsubd(sum, sum, zero_point);
                if self.spec.epilogue == Epilogue::F32 {
                    asm.vcvtdq2ps(sum, sum);
                    asm.vmulps(sum, sum, factor);
                }
                asm.store(Mem::at(out, ((panels.start + panel) * ROW) as i32), sum);
            }
            asm.add_imm(zero_points, of_token);
            asm.add_imm(factors, of_token);
            asm.add(out, STRIDE);
            asm.add_imm(offset, ROW as i32);
            asm.sub_imm(tokens, 1);
            asm.jnz(token);
        }
    }
}
