//! Decodes AArch64 instructions with yaxpeax-arm, which lacks one of them: `usmmla`.

use std::iter;

use tercet_cpu::DotProduct;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

use super::instruction::{Instruction, Kind};

const INSTRUCTION_BYTES: usize = 4;

/// Decodes every instruction of `code`.
pub(super) fn decode(code: &[u8]) -> Vec<Instruction> {
    let words = code.as_chunks().0.iter().enumerate();
    words.map(|(index, word)| instruction(index * INSTRUCTION_BYTES, *word)).collect()
}

fn instruction(offset: usize, word: [u8; INSTRUCTION_BYTES]) -> Instruction {
    let text = text(word);
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((&text, ""));
    let target = branch_target(offset, u32::from_le_bytes(word));
    let kind = kind(mnemonic, operands);
    let registers = if mnemonic == "ldp" { 2 } else { 1 };
    let accumulates = matches!(mnemonic, "sdot" | "usmmla" | "smlal" | "smlal2");
    Instruction {
        offset,
        bytes: INSTRUCTION_BYTES,
        target,
        kind,
        loads: if matches!(kind, Kind::Load | Kind::Prefetch) { registers } else { 0 },
        multiplies: kind == Kind::Dot,
        is_free: mnemonic == "movi",
        is_fused: false,
        accumulator: accumulates.then_some(u32::from_le_bytes(word) & 31),
        dot: dot(mnemonic),
        text: if target.is_some() { mnemonic.to_owned() } else { text },
    }
}

/// Returns the target of a B.cond.
fn branch_target(offset: usize, word: u32) -> Option<usize> {
    const CONDITION: (u32, u32) = (0xFF00_0010, 0x5400_0000);
    let is_branch = word & CONDITION.0 == CONDITION.1;
    let distance = ((word << 8) as i32 >> 13) as isize * INSTRUCTION_BYTES as isize;
    is_branch.then(|| offset.wrapping_add_signed(distance))
}

fn dot(mnemonic: &str) -> Option<DotProduct> {
    match mnemonic {
        "smull" | "smull2" | "smlal" | "smlal2" => Some(DotProduct::Smlal),
        "sdot" => Some(DotProduct::Sdot),
        "usmmla" => Some(DotProduct::Usmmla),
        _ => None,
    }
}

fn kind(mnemonic: &str, operands: &str) -> Kind {
    let vector = operands.starts_with(['q', 'd', 's', 'v', '{']) && !operands.starts_with("sp");
    match mnemonic {
        _ if dot(mnemonic).is_some() => Kind::Dot,
        "prfm" => Kind::Prefetch,
        "ldp" | "ldr" | "ld1r" if vector => Kind::Load,
        "stp" | "str" if vector => Kind::Store,
        _ if vector => Kind::Vector,
        _ => Kind::Scalar,
    }
}

/// Returns the instruction in Arm's syntax.
fn text(word: [u8; INSTRUCTION_BYTES]) -> String {
    if let Some(text) = matrix_product(u32::from_le_bytes(word)) {
        return text;
    }
    match InstDecoder::default().decode(&mut U8Reader::new(&word)) {
        Ok(instruction) => preferred(instruction.to_string()),
        Err(_) => format!(".word {:#010x}", u32::from_le_bytes(word)),
    }
}

fn matrix_product(word: u32) -> Option<String> {
    const USMMLA: (u32, u32) = (0xFFE0_FC00, 0x4E80_AC00);
    let register = |low: u32| word >> low & 31;
    let is_usmmla = word & USMMLA.0 == USMMLA.1;
    is_usmmla.then(|| format!("usmmla v{}.4s, v{}.16b, v{}.16b", register(0), register(5), register(16)))
}

/// Rewrites the text as binutils does: `dup` copies a lane, and offsets and shifts are decimal.
fn preferred(text: String) -> String {
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((&text, ""));
    match mnemonic {
        "mov" if operands.starts_with('v') && operands.ends_with(']') => format!("dup {operands}"),
        "add" | "adds" | "mov" | "movi" | "movk" | "subs" => text,
        _ => in_decimal(&text),
    }
}

/// Turns `#0x10` into `#16`.
fn in_decimal(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        let number =
            u64::from_str_radix(digits, 16).map_or_else(|_| format!("0x{digits}"), |n| n.to_string());
        iter::once(text).chain([number, rest.to_owned()]).collect()
    })
}
