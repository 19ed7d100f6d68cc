//! The AArch64 form of [`crate::emit::probe`]'s loops.

use super::{Asm, BYTES, Dialect, Registers, X};
use crate::emit::Emitted;
use crate::emit::probe::Loop;

const START: X = X::new(0);
const TURNS: X = X::new(1);
const PREFETCH: X = X::new(2);

/// Returns a loop that loads `turns` · `per_turn` bytes from `start` on.
pub(super) fn read() -> Loop {
    const BYTES_PER_TURN: usize = 512;
    const LINE: usize = 64;
    const DISTANCE: u32 = 4096;
    let loads = Registers::default().take_many(LINE / BYTES);
    let mut asm = Asm::new();
    asm.mov_imm(PREFETCH, DISTANCE);
    let emitted = repeat(asm, |asm| {
        for _ in 0..BYTES_PER_TURN / LINE {
            asm.prfm(START, PREFETCH);
            loads.chunks_exact(2).for_each(|pair| asm.ldp_next(pair[0], pair[1], START));
        }
    });
    Loop { emitted, per_turn: BYTES_PER_TURN }
}

/// Returns a loop that adds products of bytes to independent sums, as the kernels of the dialect do.
pub(super) fn dots<D: Dialect>() -> Loop {
    /// At least latency times throughput of a dot product on any core, so that no sum waits.
    const SUMS: usize = 16;
    const DOTS: usize = 3 * SUMS;
    let (mut asm, mut registers) = (Asm::new(), Registers::default());
    let [codes, acts] = std::array::from_fn(|_| registers.take());
    let sums = registers.take_many(SUMS);
    asm.byte_constant(codes, 2);
    asm.byte_constant(acts, 0x81);
    sums.iter().for_each(|&sum| asm.zero(sum));
    let emitted = repeat(asm, |asm| {
        for &sum in sums.iter().cycle().take(DOTS) {
            D::probe(asm, sum, codes, acts);
        }
    });
    Loop { emitted, per_turn: DOTS * D::DOT.multiply_adds() }
}

/// Emits the code in `asm`, and then a loop that runs the code of `body` `turns` times.
fn repeat(mut asm: Asm, body: impl Fn(&mut Asm)) -> Emitted {
    let turn = asm.new_label();
    asm.bind(turn);
    asm.mark("turn");
    let start = asm.offset();
    body(&mut asm);
    asm.subs_imm(TURNS, 1);
    asm.b_ne(turn);
    let loop_body = start..asm.offset();
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}
