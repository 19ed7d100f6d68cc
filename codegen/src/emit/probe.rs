//! Loops that do one thing only, as fast as the CPU can. Kernels are measured against them.

use super::asm::{Asm, Gpr, Mem, Registers, Width};
use super::{Emitted, aarch64};
use crate::isa::{Architecture, Isa};

/// The code of an `extern "sysv64" fn(start: *const u8, turns: usize)`. On AArch64 it is `extern "C"`.
///
/// `turns` must be at least 1.
pub(crate) struct Loop {
    pub(crate) emitted: Emitted,
    /// Bytes read or multiply-adds computed in a turn.
    pub(crate) per_turn: usize,
}

const START: Gpr = Gpr::Rdi;
const TURNS: Gpr = Gpr::Rsi;

/// Returns loops that load `turns` · `per_turn` bytes from `start` on.
///
/// They differ in prefetch distance. Every known core reads fastest with one of them. There is no
/// loop for an instruction set without vectors.
pub(crate) fn reads(isa: Isa) -> Vec<Loop> {
    /// Prefetch distances in bytes. Zen 4 is fastest with none, Golden Cove with a short distance, and
    /// other Zen cores with a long one.
    const PREFETCHES: [usize; 3] = [0, 2048, 8192];
    if isa.architecture() == Some(Architecture::Aarch64) {
        return vec![aarch64::probe::read()];
    }
    width(isa).into_iter().flat_map(|width| PREFETCHES.map(|prefetch| read(width, prefetch))).collect()
}

fn read(width: Width, prefetch: usize) -> Loop {
    const BYTES: usize = 512;
    const LINE: usize = 64;
    let loads = Registers::new(width).take_many(BYTES / width.bytes());
    let emitted = repeat(Asm::new(width), |asm| {
        for (index, &register) in loads.iter().enumerate() {
            let byte = index * width.bytes();
            if prefetch > 0 && byte.is_multiple_of(LINE) {
                asm.prefetcht0(Mem::at(START, (byte + prefetch) as i32));
            }
            asm.load(register, Mem::at(START, byte as i32));
        }
        asm.add_imm(START, BYTES as i32);
    });
    Loop { emitted, per_turn: BYTES }
}

/// Returns a loop that adds dot products of bytes to independent sums, as the kernels of `isa` do.
pub(crate) fn dot(isa: Isa) -> Option<Loop> {
    /// More than latency times throughput of a dot product on any core, so that no sum waits.
    const SUMS: usize = 12;
    const DOTS: usize = 4 * SUMS;
    if isa.architecture() == Some(Architecture::Aarch64) {
        return Some(aarch64::probe::dot(isa));
    }
    let width = width(isa)?;
    let (mut asm, mut registers) = (Asm::new(width), Registers::new(width));
    let [codes, acts, product] = std::array::from_fn(|_| registers.take());
    let sums = registers.take_many(SUMS);
    asm.constant(codes, 0x0201_0002);
    asm.constant(acts, 0x7FA5_3C81);
    sums.iter().for_each(|&sum| asm.zero(sum));
    let emitted = repeat(asm, |asm| {
        for &sum in sums.iter().cycle().take(DOTS) {
            if isa == Isa::Avx2 {
                asm.vpmaddubsw(product, codes, acts);
                asm.vpaddw(sum, sum, product);
            } else {
                asm.vpdpbusd(sum, codes, acts);
            }
        }
    });
    Some(Loop { emitted, per_turn: DOTS * width.bytes() })
}

fn width(isa: Isa) -> Option<Width> {
    match isa {
        Isa::Portable | Isa::Neon | Isa::NeonDot | Isa::NeonI8mm => None,
        Isa::Avx2 | Isa::AvxVnni => Some(Width::Ymm),
        Isa::Avx512Vnni | Isa::Avx512Vbmi => Some(Width::Zmm),
    }
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

    use super::*;

    /// Counts the loop's instructions: those named `mnemonic`, and all of them.
    fn count(probe: &Loop, mnemonic: Mnemonic) -> (usize, usize) {
        let body = &probe.emitted.code[probe.emitted.loop_body.clone()];
        let instructions: Vec<Instruction> = Decoder::new(64, body, DecoderOptions::NONE).iter().collect();
        assert!(instructions.iter().all(|instruction| !instruction.is_invalid()));
        (instructions.iter().filter(|i| i.mnemonic() == mnemonic).count(), instructions.len())
    }

    #[test]
    fn a_reading_turn_loads_every_byte_it_counts() {
        for (isa, load, bytes) in [
            (Isa::Avx2, Mnemonic::Vmovdqu, 32),
            (Isa::AvxVnni, Mnemonic::Vmovdqu, 32),
            (Isa::Avx512Vnni, Mnemonic::Vmovdqu32, 64),
            (Isa::Avx512Vbmi, Mnemonic::Vmovdqu32, 64),
        ] {
            let mut prefetched = Vec::new();
            for probe in reads(isa) {
                let (loads, all) = count(&probe, load);
                let (prefetches, _) = count(&probe, Mnemonic::Prefetcht0);
                assert_eq!(loads * bytes, probe.per_turn, "{isa}");
                assert_eq!(all, loads + prefetches + 3, "{isa}: pointer, counter, jump");
                prefetched.push(prefetches * 64);
            }
            assert_eq!(prefetched, [0, 512, 512], "{isa}: every line or none");
        }
    }

    #[test]
    fn a_turn_of_dot_products_computes_every_product_it_counts() {
        for (isa, dot, instructions_per_dot, bytes) in [
            (Isa::Avx2, Mnemonic::Vpmaddubsw, 2, 32),
            (Isa::AvxVnni, Mnemonic::Vpdpbusd, 1, 32),
            (Isa::Avx512Vnni, Mnemonic::Vpdpbusd, 1, 64),
            (Isa::Avx512Vbmi, Mnemonic::Vpdpbusd, 1, 64),
        ] {
            let probe = super::dot(isa).unwrap();
            let (dots, all) = count(&probe, dot);
            assert_eq!(dots * bytes, probe.per_turn, "{isa}");
            assert_eq!(all, dots * instructions_per_dot + 2, "{isa}: counter, jump");
        }
    }

    #[test]
    fn compiled_code_has_no_loops_to_emit() {
        assert!(reads(Isa::Portable).is_empty() && dot(Isa::Portable).is_none());
    }
}
