//! AMX with bytes: all of AVX-512 VNNI with VBMI, and products of tiles for many tokens.
//!
//! A tile is a register of up to 16 rows of 64 bytes. `tdpbsud` adds the product of A and B to C:
//!
//! ```text
//! A   16 tokens × 64 activations     64 bytes of each token's row
//! B   16 steps × 16 rows × 4 codes   16 consecutive blocks of a panel of unpacked bytes
//! C   16 tokens × 16 rows            sums in 32 bits
//! ```
//!
//! So unpacked bytes already have the layout of B. Six tiles hold the sums of three tiles of tokens and two panels. A and
//! B pass through one tile each.
//!
//! All tiles of tokens have the same height. The last one ends at the last token, so that it may overlap the one before.
//! Both compute the same outputs for the tokens that they share.
//!
//! A kernel configures the tiles at its start and releases them at its end. A thread that computes nothing has no tiles to
//! save.

use std::mem::offset_of;
use std::ops::Range;

use super::asm::{Asm, Gpr, Mem, Registers, Tmm, V, Width};
use super::avx512_vbmi::{self, Avx512Vbmi};
use super::x86::{self, ARGS};
use super::{Emitted, Family, Frame};
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, PANEL_ROWS};
use crate::spec::{Epilogue, KernelArgs, KernelSpec, Unpack};

pub(crate) const FAMILY: Family = Family {
    isa: Isa::AmxInt8,
    name: "amx-int8",
    features: &["avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_vbmi", "amx_tile", "amx_int8"],
    dot_cost: |unpack| match unpack {
        // A product of tiles replaces 256 dot products of vectors in the time of 32.
        Unpack::Tiles => 1.0 / 8.0,
        _ => 1.0,
    },
    unpacks: &[
        Unpack::Planes,
        Unpack::Shift,
        Unpack::Turns,
        Unpack::Telescope,
        Unpack::Extract,
        Unpack::Lookup,
        Unpack::Direct,
        Unpack::Tiles,
    ],
    frame: Frame {
        registers_needed: |spec| match spec.schedule.unpack {
            Unpack::Tiles => VECTORS,
            _ => x86::registers_needed::<Avx512Vbmi>(spec),
        },
        rows_at_once: |spec| match spec.schedule.unpack {
            Unpack::Tiles => spec.tile.nr.min(PANELS * PANEL_ROWS),
            _ => spec.tile.nr,
        },
        emit: Some(|spec| match spec.schedule.unpack {
            Unpack::Tiles => emit(spec),
            _ => x86::emit::<Avx512Vbmi>(spec),
        }),
        ..avx512_vbmi::FAMILY.frame
    },
    ..avx512_vbmi::FAMILY
};

/// Panels of a block of sums.
const PANELS: usize = 2;
/// Vector registers of the epilogue.
const VECTORS: usize = 3;
/// Bytes of a row of a tile.
const ROW: usize = 64;
/// The most rows of a tile.
const ROWS: usize = 16;

/// Tile of activations.
const A: Tmm = Tmm::new(6);
/// Tile of codes.
const B: Tmm = Tmm::new(7);

/// The address of the sums of panel `panel` of a block, on the stack. The configuration follows the sums.
const fn stack(panel: usize) -> i32 {
    (panel * ROWS * ROW) as i32
}

const WEIGHTS: Gpr = Gpr::Rsi;
const STRIDE: Gpr = Gpr::Rdx;
const STEPS: Gpr = Gpr::Rcx;
/// The activations of each tile of tokens.
const TOKENS: [Gpr; 3] = [Gpr::Rax, Gpr::R8, Gpr::R9];
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
        loop_body = kernel.multiply(&mut asm, &panels);
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

    fn sums(tile: usize, panel: usize) -> Tmm {
        Tmm::new(tile * PANELS + panel)
    }

    /// Opens the stack frame and configures the tiles: palette 1, 64 bytes in a row, and the number of rows.
    fn configure(&self, asm: &mut Asm) {
        const PALETTE: i32 = 0;
        const ROW_BYTES: i32 = 16;
        const HEIGHTS: i32 = 48;
        asm.mark("configure tiles");
        asm.open_frame(stack(PANELS) + BLOCK_BYTES as i32);
        let at = |offset| Mem::at(Gpr::Rsp, stack(PANELS) + offset);
        asm.zero(self.vectors[0]);
        asm.store(at(0), self.vectors[0]);
        asm.mov_imm_to(at(PALETTE), 1);
        for pair in 0..Tmm::COUNT as i32 / 2 {
            asm.mov_imm_to(at(ROW_BYTES + 4 * pair), (ROW << 16 | ROW) as u32);
        }
        let height = self.height() as u8;
        asm.mov_imm_to(at(HEIGHTS), u32::from_le_bytes([height; 4]));
        asm.mov_imm_to(at(HEIGHTS + 4), u32::from_le_bytes([height, height, height, ROWS as u8]));
        asm.ldtilecfg(at(0));
    }

    /// Computes the sums of these panels, and returns the offsets of the loop over k.
    fn multiply(&self, asm: &mut Asm, panels: &Range<usize>) -> Range<usize> {
        asm.mark("clear sums, addresses");
        for (tile, panel) in self.block(panels) {
            asm.tilezero(Self::sums(tile, panel));
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
            asm.tdpbsud(Self::sums(tile, panel), A, B);
        }
        asm.add_imm(WEIGHTS, (ROWS * self.step_bytes()) as i32);
        TOKENS[..self.tiles()].iter().for_each(|&tokens| asm.add_imm(tokens, ROW as i32));
        asm.sub_imm(STEPS, ROWS as i32);
        asm.jnz(turn);
        start..asm.offset()
    }

    /// Returns the bytes of one step of all panels.
    fn step_bytes(&self) -> usize {
        self.spec.tile.panels() * BLOCK_BYTES
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
        let [sum, zero_point, factor] = self.vectors;
        asm.mov_load(STRIDE, Mem::at(ARGS, offset_of!(KernelArgs, out_stride) as i32));
        asm.mov_imm32(ROW_STRIDE, ROW as u32);
        for tile in 0..self.tiles() {
            let first = self.first_token(tile);
            asm.mark(format!("store the sums of {} tokens, token {first} and later", self.height()));
            for panel in 0..panels.len() {
                let to = Mem::strided(Gpr::Rsp, ROW_STRIDE, 1, stack(panel));
                asm.tilestored(to, Self::sums(tile, panel));
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
                asm.load(sum, Mem::strided(Gpr::Rsp, offset, 1, stack(panel)));
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
