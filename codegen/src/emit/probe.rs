//! Loops that do one thing only, as fast as the CPU can: what kernels are measured against.
//!
//! Both are `extern "sysv64" fn(start: *const u8, turns: usize)` and take at least one turn.

use super::Emitted;
use super::asm::{Asm, Gpr, Mem, Registers, V, Width};
use crate::isa::Isa;

/// Bytes that a turn of the reading loop loads.
pub(crate) const TURN_BYTES: usize = 512;
/// How far ahead of its loads the reading loop prefetches.
const PREFETCH: usize = 8192;
/// Sums that do not wait for each other: more than any core's latency times its dot products per cycle.
const CHAINS: usize = 12;
/// Dot products on each sum in a turn.
const LINKS: usize = 4;

const START: Gpr = Gpr::Rdi;
const TURNS: Gpr = Gpr::Rsi;

/// Vector width of an instruction set that has vectors.
fn width(isa: Isa) -> Option<Width> {
    match isa {
        Isa::Portable => None,
        Isa::Avx2 | Isa::AvxVnni => Some(Width::Ymm),
        Isa::Avx512Vnni => Some(Width::Zmm),
    }
}

/// Loads consecutive vectors from `start` on.
pub(crate) fn read(isa: Isa) -> Option<Emitted> {
    const LINE: usize = 64;
    let width = width(isa)?;
    let mut asm = Asm::new(width);
    let into = Registers::new(width).take_many(TURN_BYTES / width.bytes());
    Some(emit(asm_with_mark(&mut asm, "streaming read"), |asm| {
        for line in (0..TURN_BYTES).step_by(LINE) {
            asm.prefetcht0(Mem::at(START, (line + PREFETCH) as i32));
        }
        for (index, &register) in into.iter().enumerate() {
            asm.load(register, Mem::at(START, (index * width.bytes()) as i32));
        }
        asm.add_imm(START, TURN_BYTES as i32);
    }))
}
