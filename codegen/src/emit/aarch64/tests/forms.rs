//! Tests every method of the assembler with many registers and immediates, decoded by objdump.

use super::objdump;
use crate::emit::aarch64::asm::THREE_REGISTER_FORMS;
use crate::emit::aarch64::{Asm, Registers, V, X};

/// Emitted instructions, and the expected text of each.
struct Sheet {
    asm: Asm,
    expected: Vec<String>,
}

impl Sheet {
    fn new() -> Self {
        Sheet { asm: Asm::new(), expected: Vec::new() }
    }

    /// Adds the instruction of `emit`, which objdump must show as `text`.
    fn one(&mut self, text: impl Into<String>, emit: impl FnOnce(&mut Asm)) {
        self.expected.push(text.into());
        emit(&mut self.asm);
    }

    fn judge(self) {
        let (code, _) = self.asm.finish();
        let Some(decoded) = objdump::decode(&code) else { return };
        assert!(!self.expected.is_empty());
        for (found, expected) in decoded.iter().zip(&self.expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(decoded.len(), self.expected.len());
    }
}

/// Returns every vector register with its number.
fn vectors() -> Vec<(V, u8)> {
    let registers = Registers::default().take_many(V::COUNT).into_iter();
    registers.map(|register| (register, register.id())).collect()
}

/// Returns every general-purpose register with its number.
fn generals() -> impl Iterator<Item = (X, u8)> + Clone {
    (0..18).map(|number| (X::new(number), number))
}

/// Returns pairs of vector registers. Every register occurs in both places.
fn pairs() -> impl Iterator<Item = ((V, u8), (V, u8))> {
    vectors().into_iter().zip(vectors().into_iter().cycle().skip(7))
}

/// Turns dynasm's `b16` into objdump's `16b`.
fn arrangement(name: &str) -> String {
    let (element, lanes) = name.split_at(1);
    format!("{lanes}{element}")
}

#[test]
fn three_register_forms() {
    let mut sheet = Sheet::new();
    for (mnemonic, arrangements, emit) in THREE_REGISTER_FORMS {
        let [d, n, m] = arrangements.map(arrangement);
        for (i, ((vd, nd), (vn, nn))) in pairs().enumerate() {
            let (vm, nm) = vectors()[(5 * i + 3) % V::COUNT];
            sheet.one(format!("{mnemonic} v{nd}.{d}, v{nn}.{n}, v{nm}.{m}"), |asm| emit(asm, vd, vn, vm));
        }
    }
    for (i, ((vd, nd), (vn, nn))) in pairs().enumerate() {
        let (vm, nm) = vectors()[(5 * i + 3) % V::COUNT];
        sheet.one(format!("usmmla v{nd}.4s, v{nn}.16b, v{nm}.16b"), |asm| asm.usmmla(vd, vn, vm));
        for lane in 0..4 {
            let text = format!("sdot v{nd}.4s, v{nn}.16b, v{nm}.4b[{lane}]");
            sheet.one(text, |asm| asm.sdot_lane(vd, vn, vm, lane));
        }
    }
    sheet.judge();
}

#[test]
fn two_register_forms() {
    let mut sheet = Sheet::new();
    for ((vd, d), (vn, n)) in pairs() {
        sheet.one(format!("mov v{d}.16b, v{n}.16b"), |asm| asm.mov(vd, vn));
        sheet.one(format!("sadalp v{d}.4s, v{n}.8h"), |asm| asm.sadalp_h(vd, vn));
        sheet.one(format!("scvtf v{d}.4s, v{n}.4s"), |asm| asm.scvtf_s(vd, vn));
        for lane in 0..4 {
            sheet.one(format!("dup v{d}.4s, v{n}.s[{lane}]"), |asm| asm.dup_s(vd, vn, lane));
        }
        for bits in 1..=8 {
            sheet.one(format!("ushr v{d}.16b, v{n}.16b, #{bits}"), |asm| asm.ushr_b(vd, vn, bits));
        }
        for bits in [1, 2, 4, 8, 31, 32] {
            sheet.one(format!("sshr v{d}.4s, v{n}.4s, #{bits}"), |asm| asm.sshr_s(vd, vn, bits));
        }
    }
    for (v, d) in vectors() {
        sheet.one(format!("movi v{d}.16b, #0x0"), |asm| asm.zero(v));
        for byte in [1, 0x30, 0x80, 0xFF] {
            sheet.one(format!("movi v{d}.16b, #{byte:#x}"), |asm| asm.byte_constant(v, byte));
        }
    }
    sheet.judge();
}

#[test]
fn loads_and_stores() {
    let mut sheet = Sheet::new();
    for (((vd, d), (vn, n)), (base, x)) in pairs().zip(generals().cycle()) {
        sheet.one(format!("ldp q{d}, q{n}, [x{x}], #32"), |asm| asm.ldp_next(vd, vn, base));
        for (bytes, prefix) in [(16, 'q'), (8, 'd'), (4, 's')] {
            sheet.one(format!("ldr {prefix}{d}, [x{x}], #{bytes}"), |asm| asm.ldr_next(vd, base, bytes));
        }
        sheet.one(format!("ld1r {{v{d}.4s}}, [x{x}], #4"), |asm| asm.ld1r_next(vd, base));
        sheet.one(format!("str q{d}, [x{x}]"), |asm| asm.str_q(vd, base, 0));
        for offset in [16, 496, 65_520] {
            sheet.one(format!("str q{d}, [x{x}, #{offset}]"), |asm| asm.str_q(vd, base, offset));
        }
    }
    for ((to, a), (base, b)) in generals().zip(generals().cycle().skip(5)) {
        sheet.one(format!("ldr x{a}, [x{b}]"), |asm| asm.ldr_x(to, base, 0));
        for offset in [8, 56, 32_760] {
            sheet.one(format!("ldr x{a}, [x{b}, #{offset}]"), |asm| asm.ldr_x(to, base, offset));
            sheet.one(format!("str x{a}, [x{b}, #{offset}]"), |asm| asm.str_x(to, base, offset));
        }
        sheet.one(format!("prfm pldl1keep, [x{a}, x{b}]"), |asm| asm.prfm(to, base));
    }
    sheet.judge();
}

#[test]
fn scalars_and_frames() {
    let mut sheet = Sheet::new();
    for (((to, d), (a, n)), (b, m)) in
        generals().zip(generals().cycle().skip(4)).zip(generals().cycle().skip(9))
    {
        sheet.one(format!("add x{d}, x{n}, x{m}"), |asm| asm.add(to, a, b));
        for value in [1, 16, 0xFFF] {
            sheet.one(format!("add x{d}, x{d}, #{value:#x}"), |asm| asm.add_imm(to, value));
            sheet.one(format!("adds x{d}, x{d}, #{value:#x}"), |asm| asm.adds_imm(to, value));
            sheet.one(format!("subs x{d}, x{d}, #{value:#x}"), |asm| asm.subs_imm(to, value));
        }
        sheet.one(format!("mov x{d}, #{:#x}", 4096), |asm| asm.mov_imm(to, 4096));
    }
    let x5 = X::new(5);
    sheet.expected.extend(["mov x5, #0x0", "movk x5, #0x1, lsl #16"].map(String::from));
    sheet.asm.mov_imm(x5, 65_536);
    let frame = ["stp d8, d9, [sp, #-64]!", "stp d10, d11, [sp, #16]", "stp d12, d13, [sp, #32]"];
    sheet.expected.extend(frame.map(String::from));
    sheet.expected.push("stp d14, d15, [sp, #48]".to_owned());
    sheet.asm.save_callers_vectors();
    let frame = ["ldp d10, d11, [sp, #16]", "ldp d12, d13, [sp, #32]", "ldp d14, d15, [sp, #48]"];
    sheet.expected.extend(frame.map(String::from));
    sheet.expected.push("ldp d8, d9, [sp], #64".to_owned());
    sheet.asm.restore_callers_vectors();
    let here = sheet.asm.new_label();
    sheet.asm.bind(here);
    let offset = sheet.asm.offset();
    sheet.one(format!("b.cc {offset:#x}"), |asm| asm.b_lo(here));
    sheet.one(format!("b.cs {offset:#x}"), |asm| asm.b_hs(here));
    sheet.one(format!("b.eq {offset:#x}"), |asm| asm.b_eq(here));
    sheet.one(format!("b.ne {offset:#x}"), |asm| asm.b_ne(here));
    sheet.one("ret", Asm::ret);
    sheet.judge();
}
