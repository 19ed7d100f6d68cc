//! Decodes x86-64 instructions with iced-x86.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, Mnemonic, OpKind, Register};

use tercet_cpu::DotProduct;

use super::instruction::{Instruction, Kind};

/// Decodes every instruction of `code`.
pub(super) fn decode(code: &[u8]) -> Vec<Instruction> {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_space_after_operand_separator(true);
    let mut instruction = |decoded: iced_x86::Instruction| {
        let jumps = decoded.is_jcc_short_or_near();
        let mut text = String::new();
        match jumps {
            true => formatter.format_mnemonic(&decoded, &mut text),
            false => formatter.format(&decoded, &mut text),
        }
        let kind = kind(&decoded);
        let mnemonic = decoded.mnemonic();
        Instruction {
            offset: decoded.ip() as usize,
            bytes: decoded.len(),
            text,
            target: jumps.then(|| decoded.near_branch_target() as usize),
            kind,
            loads: match mnemonic {
                // One for each row of the tile.
                Mnemonic::Tileloadd => 16,
                _ => usize::from(kind == Kind::Prefetch || reads_memory(&decoded)),
            },
            multiplies: kind == Kind::Dot || mnemonic == Mnemonic::Vpmaddwd,
            is_free: zeroes(&decoded),
            is_fused: jumps,
            accumulator: (mnemonic == Mnemonic::Vpdpbusd).then(|| decoded.op0_register() as u32),
            dot: dot(&decoded),
        }
    };
    Decoder::with_ip(64, code, 0, DecoderOptions::NONE).iter().map(&mut instruction).collect()
}

fn dot(instruction: &iced_x86::Instruction) -> Option<DotProduct> {
    match (instruction.mnemonic(), instruction.op0_register().is_zmm()) {
        (Mnemonic::Vpmaddubsw, false) => Some(DotProduct::VpmaddubswYmm),
        (Mnemonic::Vpdpbusd, false) => Some(DotProduct::VpdpbusdYmm),
        (Mnemonic::Vpdpbusd, true) => Some(DotProduct::VpdpbusdZmm),
        (Mnemonic::Tdpbsud, _) => Some(DotProduct::Tdpbsud),
        _ => None,
    }
}

fn kind(instruction: &iced_x86::Instruction) -> Kind {
    let register = instruction.op0_register();
    match instruction.mnemonic() {
        _ if dot(instruction).is_some() => Kind::Dot,
        Mnemonic::Prefetcht0 | Mnemonic::Prefetcht1 => Kind::Prefetch,
        Mnemonic::Tileloadd => Kind::Load,
        Mnemonic::Tilestored => Kind::Store,
        Mnemonic::Vmovdqu | Mnemonic::Vmovdqu32 if instruction.op0_kind() == OpKind::Memory => Kind::Store,
        Mnemonic::Vmovdqu | Mnemonic::Vmovdqu32 | Mnemonic::Vpbroadcastd if reads_memory(instruction) => {
            Kind::Load
        }
        _ if register.is_vector_register() || register.is_k() || register.is_tmm() => Kind::Vector,
        _ => Kind::Scalar,
    }
}

/// Returns true if a source operand is in memory.
fn reads_memory(instruction: &iced_x86::Instruction) -> bool {
    (1..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory)
}

/// Returns true for instructions that clear a register, such as an exclusive or with itself.
fn zeroes(instruction: &iced_x86::Instruction) -> bool {
    if instruction.mnemonic() == Mnemonic::Tilezero {
        return true;
    }
    matches!(instruction.mnemonic(), Mnemonic::Vpxor | Mnemonic::Vpxord)
        && instruction.op1_register() != Register::None
        && instruction.op1_register() == instruction.op2_register()
}
