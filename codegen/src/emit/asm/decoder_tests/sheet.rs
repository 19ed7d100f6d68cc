//! A list of emitted instructions with the text that objdump must show for each.

use super::objdump;
use crate::emit::asm::{Asm, Gpr, Mem, Registers, V, Width};

/// Registers, with their 64-bit and 32-bit names.
pub(super) const GPRS: [(Gpr, &str, &str); 10] = [
    (Gpr::Rax, "rax", "eax"),
    (Gpr::Rcx, "rcx", "ecx"),
    (Gpr::Rdx, "rdx", "edx"),
    (Gpr::Rsp, "rsp", "esp"),
    (Gpr::Rsi, "rsi", "esi"),
    (Gpr::Rdi, "rdi", "edi"),
    (Gpr::R8, "r8", "r8d"),
    (Gpr::R9, "r9", "r9d"),
    (Gpr::R10, "r10", "r10d"),
    (Gpr::R11, "r11", "r11d"),
];

/// Displacements near the limits of each encoding.
///
/// An 8-bit displacement is plain, or a multiple of 4, 32 or 64 bytes. Others have 32 bits.
const DISPLACEMENTS: [[i32; 8]; 4] = [
    [0, 1, -1, 4, 63, 127, -128, -129],
    [32, 128, 504, 508, 512, -512, -516, 524_224],
    [64, -64, 192, 4064, 4096, -4096, -4128, 65_536],
    [8064, 8128, 8192, -8192, -8256, 524_288, i32::MAX, i32::MIN],
];

/// Emitted instructions, and the expected text of each.
pub(super) struct Sheet {
    pub(super) asm: Asm,
    pub(super) registers: Vec<(V, String)>,
    pub(super) width: Width,
    pub(super) expected: Vec<(usize, String)>,
}

impl Sheet {
    pub(super) fn new(width: Width) -> Self {
        let prefix = if width == Width::Ymm { "ymm" } else { "zmm" };
        let registers = Registers::new(width).take_many(width.registers());
        let named = registers.into_iter().enumerate().map(|(n, register)| (register, format!("{prefix}{n}")));
        Sheet { asm: Asm::new(width), registers: named.collect(), width, expected: Vec::new() }
    }

    /// Adds the instruction of `emit`, which objdump must show as `text`.
    pub(super) fn one(&mut self, text: String, emit: impl FnOnce(&mut Asm)) {
        self.expected.push((self.asm.offset(), text));
        emit(&mut self.asm);
    }

    /// Adds several instructions of `emit`, which objdump must show as `texts`.
    pub(super) fn several(&mut self, texts: &[String], emit: impl FnOnce(&mut Asm)) {
        let start = self.asm.offset();
        self.expected.extend(texts.iter().map(|text| (start, text.clone())));
        emit(&mut self.asm);
    }

    /// Returns the registers at the edges of the encodings, with their names.
    pub(super) fn edges(&self) -> Vec<(V, String)> {
        [0, 7, 8, 15, 16, 23, 24, 31].iter().filter_map(|&n| self.registers.get(n)).cloned().collect()
    }

    /// Returns the VEX name or the EVEX name, by the sheet's width.
    pub(super) fn either(&self, vex: &'static str, evex: &'static str) -> &'static str {
        if self.width == Width::Ymm { vex } else { evex }
    }

    /// Returns the text of a vector operand in memory.
    pub(super) fn vector_at(&self, address: &str) -> String {
        format!("{} PTR {address}", self.either("YMMWORD", "ZMMWORD"))
    }

    /// Disassembles the code and compares it with the expected texts.
    pub(super) fn judge(self) {
        let (code, _) = self.asm.finish();
        let Some(decoded) = objdump::decode(&code) else { return };
        assert!(!self.expected.is_empty());
        for (found, (offset, text)) in decoded.iter().zip(&self.expected) {
            assert!(found.offset >= *offset, "{text} is longer than objdump reads it: {found:x?}");
            assert_eq!(found.text, *text, "at {offset:#x}: {:02x?}", found.bytes);
        }
        assert_eq!(decoded.len(), self.expected.len());
        println!("{} instructions", decoded.len());
    }
}

/// Returns addresses with their texts: every base, index and displacement, and no index.
pub(super) fn addresses() -> Vec<(Mem, String)> {
    let mut addresses = Vec::new();
    for (base, base_name, _) in GPRS {
        for &disp in DISPLACEMENTS.as_flattened() {
            let tail = match disp {
                0 => String::new(),
                1.. => format!("+{disp:#x}"),
                _ => format!("-{:#x}", disp.unsigned_abs()),
            };
            addresses.push((Mem::at(base, disp), format!("[{base_name}{tail}]")));
            addresses.push((Mem::strided(base, Gpr::Rdx, 0, disp), format!("[{base_name}{tail}]")));
            for (index, index_name, _) in GPRS.into_iter().filter(|(g, ..)| *g != Gpr::Rsp) {
                for scale in [1, 2] {
                    let text = format!("[{base_name}+{index_name}*{scale}{tail}]");
                    addresses.push((Mem::strided(base, index, scale, disp), text));
                }
            }
        }
    }
    addresses
}
