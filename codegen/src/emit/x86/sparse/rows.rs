//! Kernels that multiply listed rows: see [`crate::sparse`].
//!
//! A turn multiplies four rows with every token. Each sum is spread over the lanes of a vector. Interleaving adds them up
//! until each 128 bits have a part of the four sums. The caller adds these parts.

use std::mem::offset_of;

use super::triple;
use crate::emit::Emitted;
use crate::emit::asm::{Asm, Gpr, Mem, Registers, V, Width};
use crate::emit::x86::{ARGS, Dialect};
use crate::packing::{BLOCK_BYTES, PANEL_ROWS};
use crate::sparse::{DIGITS, QUAD, ROWS_FAR, ROWS_NEAR, UnpackArgs, VisitArgs};

const WEIGHTS: Gpr = Gpr::Rsi;
const OFFSETS: Gpr = Gpr::Rdx;
const ACTS: Gpr = Gpr::Rax;
const SCRATCH: Gpr = Gpr::Rcx;
/// Offsets of the rows of a turn.
const ROWS: [Gpr; QUAD] = [Gpr::R8, Gpr::R9, Gpr::R10, Gpr::R11];

/// Emits the kernel for this number of tokens and of blocks in a row.
pub(super) fn dots<D: Dialect>(tokens: usize, lines: usize) -> Emitted {
    let mut asm = Asm::new(D::WIDTH);
    let mut registers = Registers::new(D::WIDTH);
    let at_once = rows_at_once(D::WIDTH, tokens);
    let kernel = Dots {
        tokens,
        at_once,
        sums: registers.take_many(2 * at_once * tokens),
        running: registers.take_many(at_once),
        acts: registers.take_many(tokens),
        halves: registers.take_many(halves(at_once, tokens)),
        scratch: registers.take(),
    };
    asm.mov_load(WEIGHTS, Mem::at(ARGS, offset_of!(VisitArgs, weights) as i32));
    asm.mov_load(OFFSETS, Mem::at(ARGS, offset_of!(VisitArgs, offsets) as i32));
    asm.mov_load(ACTS, Mem::at(ARGS, offset_of!(VisitArgs, acts) as i32));
    let turn = asm.new_label();
    asm.bind(turn);
    asm.mark("loop: four rows");
    let start = asm.offset();
    for (i, row) in ROWS.into_iter().enumerate() {
        asm.mov_load32(row, Mem::at(OFFSETS, (i * size_of::<u32>()) as i32));
    }
    for first in (0..QUAD).step_by(at_once) {
        kernel.sums.iter().for_each(|&sum| asm.zero(sum));
        for line in 0..lines {
            if first == 0 {
                prefetch(&mut asm, line);
            }
            for part in (0..BLOCK_BYTES).step_by(D::WIDTH.bytes()) {
                kernel.line(&mut asm, &ROWS[first..first + at_once], line, part);
            }
        }
        kernel.add_lanes(&mut asm, first);
    }
    asm.mov_load(SCRATCH, Mem::at(ARGS, offset_of!(VisitArgs, out) as i32));
    let bytes = D::WIDTH.bytes();
    for token in 0..tokens {
        asm.store(Mem::at(SCRATCH, (token * bytes) as i32), kernel.total(token));
    }
    asm.add_imm_to(Mem::at(ARGS, offset_of!(VisitArgs, out) as i32), (tokens * bytes) as i32);
    asm.add_imm(OFFSETS, (QUAD * size_of::<u32>()) as i32);
    asm.sub_imm_from(Mem::at(ARGS, offset_of!(VisitArgs, quads) as i32), 1);
    asm.jnz(turn);
    let loop_body = start..asm.offset();
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

/// Returns the rows whose sums fit the registers together.
fn rows_at_once(width: Width, tokens: usize) -> usize {
    let registers = |rows: usize| 2 * rows * tokens + rows + tokens + halves(rows, tokens) + 1;
    if registers(QUAD) <= width.registers() { QUAD } else { QUAD / 2 }
}

/// Returns the registers for the sums of the first two rows of four, while those of the others are computed.
const fn halves(at_once: usize, tokens: usize) -> usize {
    if at_once == QUAD { 0 } else { tokens }
}

/// Prefetches a block of each of four later rows, from memory and then from the second-level cache.
fn prefetch(asm: &mut Asm, line: usize) {
    for i in 0..2 * QUAD {
        let (is_far, i) = (i < QUAD, i % QUAD);
        let rows = i + if is_far { ROWS_FAR } else { ROWS_NEAR };
        asm.mov_load32(SCRATCH, Mem::at(OFFSETS, (rows * size_of::<u32>()) as i32));
        let block = Mem::strided(WEIGHTS, SCRATCH, 1, (line * BLOCK_BYTES) as i32);
        if is_far { asm.prefetcht1(block) } else { asm.prefetcht0(block) }
    }
}

struct Dots {
    tokens: usize,
    at_once: usize,
    /// `[row][token][A or B]`, as in telescoping: Σ fᵢ·x and Σ fᵢ₊₁·x.
    sums: Vec<V>,
    running: Vec<V>,
    acts: Vec<V>,
    halves: Vec<V>,
    scratch: V,
}

impl Dots {
    fn sums(&self, row: usize, token: usize) -> [V; 2] {
        let first = 2 * (row * self.tokens + token);
        [self.sums[first], self.sums[first + 1]]
    }

    /// Adds the products of a part of a block of these rows.
    fn line(&self, asm: &mut Asm, rows: &[Gpr], line: usize, part: usize) {
        for (&running, &row) in self.running.iter().zip(rows) {
            asm.load(running, Mem::strided(WEIGHTS, row, 1, (line * BLOCK_BYTES + part) as i32));
        }
        for digit in 0..DIGITS {
            for (token, &acts) in self.acts.iter().enumerate() {
                let block = (line * DIGITS + digit) * self.tokens + token;
                asm.load(acts, Mem::at(ACTS, (block * BLOCK_BYTES + part) as i32));
            }
            for (row, &running) in self.running.iter().enumerate() {
                for (token, &acts) in self.acts.iter().enumerate() {
                    asm.vpdpbusd(self.sums(row, token)[0], running, acts);
                }
                triple(asm, running, self.scratch);
                for (token, &acts) in self.acts.iter().enumerate() {
                    asm.vpdpbusd(self.sums(row, token)[1], running, acts);
                }
            }
        }
    }

    /// Turns the sums of the rows from `first` on into 3·A - B, and adds lanes until there is one vector for each token.
    fn add_lanes(&self, asm: &mut Asm, first: usize) {
        for token in 0..self.tokens {
            for row in 0..self.at_once {
                let [a, b] = self.sums(row, token);
                asm.vpsubd(b, a, b);
                asm.vpaddd(a, a, a);
                asm.vpaddd(a, a, b);
            }
            for pair in (0..self.at_once).step_by(2) {
                let ([a, spare], [b, _]) = (self.sums(pair, token), self.sums(pair + 1, token));
                asm.vpunpckldq(spare, a, b);
                asm.vpunpckhdq(a, a, b);
                asm.vpaddd(a, a, spare);
            }
            let [lower, spare] = self.sums(0, token);
            if self.at_once == QUAD {
                let upper = self.sums(2, token)[0];
                join(asm, lower, lower, upper, spare);
            } else if first == 0 {
                // The sums of the next rows replace these. `vpaddd` with a zero is a copy.
                asm.zero(self.halves[token]);
                asm.vpaddd(self.halves[token], self.halves[token], lower);
            } else {
                join(asm, lower, self.halves[token], lower, spare);
            }
        }
    }

    /// Returns the vector with the sums of four rows.
    fn total(&self, token: usize) -> V {
        self.sums(0, token)[0]
    }
}

/// Puts the sums of two rows in `lower` and of two others in `upper` side by side.
fn join(asm: &mut Asm, to: V, lower: V, upper: V, spare: V) {
    asm.vpunpcklqdq(spare, lower, upper);
    asm.vpunpckhqdq(to, lower, upper);
    asm.vpaddd(to, to, spare);
}

/// Emits the kernel that unpacks a panel of 16 rows of `lines` blocks into a row block of `panels` panels.
pub(super) fn unpack<D: Dialect>(panels: usize, lines: usize) -> Emitted {
    const OUT: Gpr = Gpr::R8;
    const LINES: Gpr = Gpr::Rcx;
    /// Steps of four columns in a digit of a block.
    const STEPS: usize = BLOCK_BYTES / QUAD;
    let mut asm = Asm::new(D::WIDTH);
    let mut registers = Registers::new(D::WIDTH);
    let [running, scratch]: [[V; QUAD]; 2] =
        std::array::from_fn(|_| std::array::from_fn(|_| registers.take()));
    asm.mark("constants");
    let dialect = D::prepare(&super::unpack::EXTRACTING, &mut asm, &mut registers);
    asm.mov_load(WEIGHTS, Mem::at(ARGS, offset_of!(UnpackArgs, weights) as i32));
    asm.mov_load(OUT, Mem::at(ARGS, offset_of!(UnpackArgs, out) as i32));
    asm.mov_imm32(LINES, lines as u32);
    let turn = asm.new_label();
    asm.bind(turn);
    asm.mark("loop: a line of 16 rows");
    let start = asm.offset();
    let row = |row: usize, byte: usize| Mem::at(WEIGHTS, (row * lines * BLOCK_BYTES + byte) as i32);
    (PANEL_ROWS..2 * PANEL_ROWS).for_each(|of_next_panel| asm.prefetcht0(row(of_next_panel, 0)));
    // A narrow vector holds a part of the panel's rows.
    for part in (0..BLOCK_BYTES).step_by(D::WIDTH.bytes()) {
        for first in (0..STEPS).step_by(QUAD) {
            let lane = |at: usize| row(part / QUAD + at, first * QUAD);
            steps_from_rows(&mut asm, lane, running, scratch);
            running.into_iter().for_each(|running| dialect.bias(&mut asm, running));
            for (digit, i) in (0..DIGITS).flat_map(|digit| (0..QUAD).map(move |i| (digit, i))) {
                if digit > 0 {
                    triple(&mut asm, running[i], scratch[i]);
                }
                dialect.extract(&mut asm, scratch[i], running[i]);
                let step = digit * STEPS + first + i;
                asm.store(Mem::at(OUT, (step * panels * BLOCK_BYTES + part) as i32), scratch[i]);
            }
        }
    }
    asm.add_imm(WEIGHTS, BLOCK_BYTES as i32);
    asm.add_imm(OUT, (DIGITS * STEPS * panels * BLOCK_BYTES) as i32);
    asm.sub_imm(LINES, 1);
    asm.jnz(turn);
    let loop_body = start..asm.offset();
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

/// Loads 16 bytes of each row that fits a vector, and turns them into four steps: a step has a dword of every row.
fn steps_from_rows(asm: &mut Asm, row: impl Fn(usize) -> Mem, steps: [V; QUAD], scratch: [V; QUAD]) {
    for (i, step) in steps.into_iter().enumerate() {
        asm.broadcast_lane(step, row(i));
        (1..asm.lanes()).for_each(|lane| asm.insert_lane(step, row(QUAD * lane + i), lane as u8));
    }
    // In each 128 bits: dwords of two rows side by side, and then of all four.
    let ([a, b, c, d], [ab_lower, ab_upper, cd_lower, cd_upper]) = (steps, scratch);
    asm.vpunpckldq(ab_lower, a, b);
    asm.vpunpckhdq(ab_upper, a, b);
    asm.vpunpckldq(cd_lower, c, d);
    asm.vpunpckhdq(cd_upper, c, d);
    asm.vpunpcklqdq(a, ab_lower, cd_lower);
    asm.vpunpckhqdq(b, ab_lower, cd_lower);
    asm.vpunpcklqdq(c, ab_upper, cd_upper);
    asm.vpunpckhqdq(d, ab_upper, cd_upper);
}
