//! Kernels that unpack the rows of one digit into bytes.

use std::mem::offset_of;

use super::{pairs, triple};
use crate::emit::Emitted;
use crate::emit::asm::{Asm, Gpr, Mem, Registers, V};
use crate::emit::x86::{ARGS, Dialect};
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, Layout, PANEL_ROWS, Packing};
use crate::sparse::{QUAD, UnpackArgs};
use crate::spec::{Epilogue, KernelSpec, Prefetch, Schedule, Tile, Unpack};

const COLUMNS: Gpr = Gpr::Rsi;
const QUADS: Gpr = Gpr::Rcx;
/// The row blocks, of which there are as many as panels if each has one.
const OUTS: [Gpr; PANELS] = [Gpr::R8, Gpr::R9, Gpr::R10, Gpr::R11];
/// Panels of the rows that share a digit.
const PANELS: usize = BLOCK_BYTES / PANEL_ROWS;

/// A kernel whose constants serve to extract codes.
pub(super) const EXTRACTING: KernelSpec = KernelSpec {
    isa: Isa::Portable,
    layout: Layout { packing: Packing::Trits5, interleave: 1 },
    tile: Tile { mr: 1, nr: PANEL_ROWS, ku: 1 },
    schedule: Schedule { unpack: Unpack::Extract, prefetch: Prefetch::NONE },
    epilogue: Epilogue::I32,
};

/// Emits the kernel for row blocks of `panels` panels and the rows of `digit`.
pub(super) fn emit<D: Dialect>(panels: usize, digit: usize) -> Emitted {
    let mut asm = Asm::new(D::WIDTH);
    let mut registers = Registers::new(D::WIDTH);
    let rows: Vec<V> = registers.take_many(PANELS);
    let [ab, cd] = [registers.take(), registers.take()];
    asm.mark("constants, addresses");
    let dialect = D::prepare(&EXTRACTING, &mut asm, &mut registers);
    asm.mov_load(COLUMNS, Mem::at(ARGS, offset_of!(UnpackArgs, weights) as i32));
    asm.mov_load(QUADS, Mem::at(ARGS, offset_of!(UnpackArgs, quads) as i32));
    let outs = &OUTS[..PANELS / panels];
    asm.mov_load(outs[0], Mem::at(ARGS, offset_of!(UnpackArgs, out) as i32));
    for pair in outs.windows(2) {
        asm.mov_load(pair[1], Mem::at(ARGS, offset_of!(UnpackArgs, out_stride) as i32));
        asm.add(pair[1], pair[0]);
    }
    let turn = asm.new_label();
    asm.bind(turn);
    asm.mark("loop: four columns");
    let start = asm.offset();
    // A narrow vector holds a part of a block's bytes.
    for part in (0..BLOCK_BYTES).step_by(D::WIDTH.bytes()) {
        let column = |i: usize| Mem::at(COLUMNS, (i * BLOCK_BYTES + part) as i32);
        for half in 0..2 {
            pairs(&mut asm, column, half == 1, [ab, cd]);
            asm.vpunpcklwd(rows[2 * half], ab, cd);
            asm.vpunpckhwd(rows[2 * half + 1], ab, cd);
        }
        for (panel, &running) in rows.iter().enumerate() {
            dialect.bias(&mut asm, running);
            (0..digit).for_each(|_| triple(&mut asm, running, ab));
            dialect.extract(&mut asm, cd, running);
            let disp = panel % panels * BLOCK_BYTES + part;
            asm.store(Mem::at(outs[panel / panels], disp as i32), cd);
        }
    }
    asm.add_imm(COLUMNS, (QUAD * BLOCK_BYTES) as i32);
    outs.iter().for_each(|&out| asm.add_imm(out, (panels * BLOCK_BYTES) as i32));
    asm.sub_imm(QUADS, 1);
    asm.jnz(turn);
    let loop_body = start..asm.offset();
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}
