//! Loops that do one thing only, as fast as the CPU can. Kernels are measured against them.

use super::Emitted;
use super::asm::{Asm, Gpr, Mem, Registers, Width};
use super::x86::Dialect;
use crate::spec::Prefetch;

/// The code of an `extern "sysv64" fn(start: *const u8, turns: usize)`. On AArch64 it is `extern "C"`.
///
/// `turns` must be at least 1.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) emitted: Emitted,
    /// Bytes read or multiply-adds computed in a turn.
    pub(crate) per_turn: usize,
}

const START: Gpr = Gpr::Rdi;
const TURNS: Gpr = Gpr::Rsi;

/// Returns loops that load `turns` · `per_turn` bytes from `start` on, in vectors of `width`.
///
/// They differ in prefetch distance. Every known core reads fastest with one of them.
pub(super) fn reads(width: Width) -> Vec<Loop> {
    /// Zen 4 is fastest with none, other Zen cores with a long distance, and Golden Cove with prefetches into the
    /// second-level cache.
    const PREFETCHES: [Prefetch; 4] =
        [Prefetch::NONE, Prefetch::near(2048), Prefetch::near(8192), Prefetch { near: 0, far: 4096 }];
    PREFETCHES.map(|prefetch| read(width, prefetch)).into()
}

fn read(width: Width, Prefetch { near, far }: Prefetch) -> Loop {
    const BYTES: usize = 512;
    const LINE: usize = 64;
    let loads = Registers::new(width).take_many(BYTES / width.bytes());
    let emitted = repeat(Asm::new(width), |asm| {
        for (index, &register) in loads.iter().enumerate() {
            let byte = index * width.bytes();
            if near > 0 && byte.is_multiple_of(LINE) {
                asm.prefetcht0(Mem::at(START, (byte + near) as i32));
            }
            if far > 0 && byte.is_multiple_of(LINE) {
                asm.prefetcht1(Mem::at(START, (byte + far) as i32));
            }
            asm.load(register, Mem::at(START, byte as i32));
        }
        asm.add_imm(START, BYTES as i32);
    });
    Loop { emitted, per_turn: BYTES }
}

/// Returns a loop that adds dot products of bytes to independent sums, as the kernels of the dialect do.
pub(super) fn dots<D: Dialect>() -> Loop {
    /// More than latency times throughput of a dot product on any core, so that no sum waits.
    const SUMS: usize = 12;
    const DOTS: usize = 4 * SUMS;
    let (mut asm, mut registers) = (Asm::new(D::WIDTH), Registers::new(D::WIDTH));
    let [codes, acts, product] = std::array::from_fn(|_| registers.take());
    let sums = registers.take_many(SUMS);
    asm.constant(codes, 0x0201_0002);
    asm.constant(acts, 0x7FA5_3C81);
    sums.iter().for_each(|&sum| asm.zero(sum));
    let emitted = repeat(asm, |asm| {
        for &sum in sums.iter().cycle().take(DOTS) {
            D::probe(asm, sum, codes, acts, product);
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
    asm.sub_imm(TURNS, 1);
    asm.jnz(turn);
    let loop_body = start..asm.offset();
    asm.ret();
    let (code, marks) = asm.finish();
    Emitted { code, marks, loop_body }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
    use tercet_cpu::DotProduct;

    use super::*;
    use crate::emit::{FAMILIES, Family};
    use crate::isa::Isa;

    /// Counts the loop's instructions: those named `mnemonic`, and all of them.
    fn count(probe: &Loop, mnemonic: Mnemonic) -> (usize, usize) {
        let body = &probe.emitted.code[probe.emitted.loop_body.clone()];
        let instructions: Vec<Instruction> = Decoder::new(64, body, DecoderOptions::NONE).iter().collect();
        assert!(instructions.iter().all(|instruction| !instruction.is_invalid()));
        (instructions.iter().filter(|i| i.mnemonic() == mnemonic).count(), instructions.len())
    }

    /// Families of x86-64, each with the mnemonics of its dot product and of its loads.
    fn families() -> impl Iterator<Item = (&'static Family, Mnemonic, Mnemonic)> {
        FAMILIES.iter().filter_map(|family| match family.dot? {
            DotProduct::VpmaddubswYmm => Some((family, Mnemonic::Vpmaddubsw, Mnemonic::Vmovdqu)),
            DotProduct::VpdpbusdYmm => Some((family, Mnemonic::Vpdpbusd, Mnemonic::Vmovdqu)),
            DotProduct::VpdpbusdZmm => Some((family, Mnemonic::Vpdpbusd, Mnemonic::Vmovdqu32)),
            DotProduct::Tdpbsud | DotProduct::Smlal | DotProduct::Sdot | DotProduct::Usmmla => None,
        })
    }

    #[test]
    fn a_reading_turn_loads_every_byte_it_counts() {
        for (Family { isa, dot, frame, .. }, _, load) in families() {
            let mut prefetched = Vec::new();
            for probe in (frame.reads)() {
                let (loads, all) = count(&probe, load);
                let [near, far] =
                    [Mnemonic::Prefetcht0, Mnemonic::Prefetcht1].map(|level| count(&probe, level).0);
                let prefetches = near + far;
                // A vector of bytes takes as many multiply-adds as it has bytes.
                assert_eq!(loads * dot.unwrap().multiply_adds(), probe.per_turn, "{isa}");
                assert_eq!(all, loads + prefetches + 3, "{isa}: pointer, counter, jump");
                prefetched.push(prefetches * 64);
            }
            assert_eq!(prefetched, [0, 512, 512, 512], "{isa}: every line or none");
        }
    }

    #[test]
    fn a_turn_of_dot_products_computes_every_product_it_counts() {
        for (Family { isa, dot, folds, frame, .. }, mnemonic, _) in families() {
            let probe = (frame.dots.unwrap())();
            let (dots, all) = count(&probe, mnemonic);
            assert_eq!(dots * dot.unwrap().multiply_adds(), probe.per_turn, "{isa}");
            let instructions_per_dot = if *folds { 2 } else { 1 };
            assert_eq!(all, dots * instructions_per_dot + 2, "{isa}: counter, jump");
        }
    }

    #[test]
    fn compiled_code_has_no_loops_to_emit() {
        let frame = &FAMILIES[Isa::Portable as usize].frame;
        assert!((frame.reads)().is_empty() && frame.dots.is_none());
    }
}
