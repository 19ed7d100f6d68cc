//! Tests every method of the assembler with many registers, addresses and immediates.

use super::sheet::{GPRS, Sheet, addresses};
use crate::emit::asm::forms::THREE_OPERAND_FORMS;
use crate::emit::asm::{Asm, Gpr, Label, Mask, Mem, Tmm, V, Width};

const MASKS: [(Mask, &str); 2] = [(Mask::K1, "k1"), (Mask::K2, "k2")];

const IMMEDIATES: [i32; 9] = [0, 1, -1, 64, 127, 128, -128, -129, 0x0123_4567];
const SHIFTS: [u8; 6] = [0, 1, 2, 6, 8, 31];

fn both_widths(fill: impl Fn(&mut Sheet)) {
    for width in [Width::Ymm, Width::Zmm] {
        one_width(width, &fill);
    }
}

fn one_width(width: Width, fill: impl Fn(&mut Sheet)) {
    let mut sheet = Sheet::new(width);
    fill(&mut sheet);
    sheet.judge();
}

/// Adds a form with three registers, written `mnemonic d,a,b`.
fn three_operands(sheet: &mut Sheet, mnemonic: &str, emit: impl Fn(&mut Asm, V, V, V)) {
    let edges = sheet.edges();
    for (d, d_name) in sheet.registers.clone() {
        for (a, a_name) in &edges {
            for (b, b_name) in &edges {
                sheet.one(format!("{mnemonic} {d_name},{a_name},{b_name}"), |asm| emit(asm, d, *a, *b));
            }
        }
    }
}

/// Adds a form with two registers. `text` gets their names.
fn two_operands(sheet: &mut Sheet, text: impl Fn(&str, &str) -> String, emit: impl Fn(&mut Asm, V, V)) {
    for (d, d_name) in sheet.registers.clone() {
        for (a, a_name) in sheet.registers.clone() {
            sheet.one(text(&d_name, &a_name), |asm| emit(asm, d, a));
        }
    }
}

/// Adds a form with a register and an address, for all addresses and with the registers in turn.
/// `texts` gets their names.
fn at_addresses(
    sheet: &mut Sheet,
    texts: impl Fn(&Sheet, &str, &str) -> Vec<String>,
    emit: impl Fn(&mut Asm, V, Mem),
) {
    let registers = sheet.registers.clone();
    for ((m, address), (d, d_name)) in addresses().into_iter().zip(registers.iter().cycle()) {
        let texts = texts(sheet, d_name, &address);
        sheet.several(&texts, |asm| emit(asm, *d, m));
    }
}

#[test]
fn three_operand_forms() {
    both_widths(|sheet| {
        for (mnemonic, emit) in THREE_OPERAND_FORMS {
            let mnemonic = match *mnemonic {
                "vpdpbusd" => sheet.either("{vex} vpdpbusd", "vpdpbusd"),
                "vand" => sheet.either("vpand", "vpandd"),
                mnemonic => mnemonic,
            };
            three_operands(sheet, mnemonic, emit);
        }
    });
    one_width(Width::Ymm, |sheet| three_operands(sheet, "vpcmpgtb", Asm::vpcmpgtb));
}

#[test]
fn two_operand_forms() {
    both_widths(|sheet| {
        two_operands(sheet, |d, a| format!("vcvtdq2ps {d},{a}"), Asm::vcvtdq2ps);
        for bits in SHIFTS {
            two_operands(
                sheet,
                |d, a| format!("vpsrld {d},{a},{bits:#x}"),
                |asm, d, a| asm.vpsrld(d, a, bits),
            );
            two_operands(
                sheet,
                |d, a| format!("vpsrad {d},{a},{bits:#x}"),
                |asm, d, a| asm.vpsrad(d, a, bits),
            );
        }
    });
    one_width(Width::Ymm, |sheet| two_operands(sheet, |d, a| format!("vpabsb {d},{a}"), Asm::vpabsb));
}

/// The row stride of a tile needs an index.
#[test]
fn tile_forms() {
    one_width(Width::Zmm, |sheet| {
        let tiles = || (0..Tmm::COUNT).map(Tmm::new).zip(0..);
        for ((m, address), (tile, n)) in addresses().into_iter().zip(tiles().cycle()) {
            sheet.one(format!("ldtilecfg {address}"), |asm| asm.ldtilecfg(m));
            if address.contains('*') {
                sheet.one(format!("tileloadd tmm{n},{address}"), |asm| asm.tileloadd(tile, m));
                sheet.one(format!("tilestored {address},tmm{n}"), |asm| asm.tilestored(m, tile));
            }
        }
        for (d, n) in tiles() {
            sheet.one(format!("tilezero tmm{n}"), |asm| asm.tilezero(d));
            for ((a, n_a), (b, n_b)) in tiles().flat_map(|a| tiles().map(move |b| (a, b))) {
                // An operand must not occur twice.
                if n != n_a && n_a != n_b && n != n_b {
                    sheet.one(format!("tdpbsud tmm{n},tmm{n_a},tmm{n_b}"), |asm| asm.tdpbsud(d, a, b));
                }
            }
        }
        sheet.one("tilerelease".to_owned(), Asm::tilerelease);
    });
}

#[test]
fn masked_forms() {
    one_width(Width::Zmm, |sheet| {
        for (mask, k) in MASKS {
            two_operands(
                sheet,
                |a, b| format!("vpcmpnltub {k},{a},{b}"),
                |asm, a, b| asm.vpcmpnltub(mask, a, b),
            );
            let zeroing = |d: &str, a: &str| format!("vmovdqu8 {d}{{{k}}}{{z}},{a}");
            two_operands(sheet, zeroing, |asm, d, a| asm.vmovdqu8_zeroing(d, mask, a));
            let edges = sheet.edges();
            for (d, d_name) in sheet.registers.clone() {
                for ((a, a_name), (b, b_name)) in edges.iter().flat_map(|a| edges.iter().map(move |b| (a, b)))
                {
                    let text = format!("vpaddb {d_name}{{{k}}},{a_name},{b_name}");
                    sheet.one(text, |asm| asm.vpaddb_masked(d, mask, *a, *b));
                    let text = format!("vpermi2b {d_name}{{{k}}},{a_name},{b_name}");
                    sheet.one(text, |asm| asm.vpermi2b_masked(d, mask, *a, *b));
                }
                sheet.one(format!("vpmovb2m {k},{d_name}"), |asm| asm.vpmovb2m(mask, d));
            }
            for (of, of_name) in MASKS {
                sheet.one(format!("knotq {k},{of_name}"), |asm| asm.knotq(mask, of));
            }
        }
    });
}

#[test]
fn zeros_and_constants() {
    both_widths(|sheet| {
        for (n, (d, name)) in sheet.registers.clone().into_iter().enumerate() {
            let zero = sheet.either("vpxor", "vpxord");
            sheet.one(format!("{zero} {name},{name},{name}"), |asm| asm.zero(d));
            for value in [0, 1, 0x0303_0303, 0xC0C0_C0C0, u32::MAX] {
                let broadcast = match sheet.width {
                    Width::Ymm => {
                        vec![format!("vmovd xmm{n},eax"), format!("vpbroadcastd {name},xmm{n}")]
                    }
                    Width::Zmm => vec![format!("vpbroadcastd {name},eax")],
                };
                let texts = [vec![format!("mov eax,{value:#x}")], broadcast].concat();
                sheet.several(&texts, |asm| asm.constant(d, value));
            }
        }
    });
}

#[test]
fn vector_memory_forms() {
    both_widths(|sheet| {
        let load = |sheet: &Sheet, d: &str, at: &str| {
            vec![format!("{} {d},{}", sheet.either("vmovdqu", "vmovdqu32"), sheet.vector_at(at))]
        };
        at_addresses(sheet, load, Asm::load);
        let store = |sheet: &Sheet, s: &str, at: &str| {
            vec![format!("{} {},{s}", sheet.either("vmovdqu", "vmovdqu32"), sheet.vector_at(at))]
        };
        at_addresses(sheet, store, |asm, s, m| asm.store(m, s));
        let broadcast = |_: &Sheet, d: &str, at: &str| vec![format!("vpbroadcastd {d},DWORD PTR {at}")];
        at_addresses(sheet, broadcast, Asm::broadcast);
        let broadcast = |sheet: &Sheet, d: &str, at: &str| {
            vec![format!("{} {d},XMMWORD PTR {at}", sheet.either("vbroadcasti128", "vbroadcasti32x4"))]
        };
        at_addresses(sheet, broadcast, Asm::broadcast_lane);
        let insert = |sheet: &Sheet, d: &str, at: &str| {
            vec![format!("{} {d},{d},XMMWORD PTR {at},0x1", sheet.either("vinserti128", "vinserti32x4"))]
        };
        at_addresses(sheet, insert, |asm, d, m| asm.insert_lane(d, m, 1));
        for (a, a_name) in sheet.edges() {
            let and = |sheet: &Sheet, d: &str, at: &str| {
                vec![format!("{} {d},{a_name},{}", sheet.either("vpand", "vpandd"), sheet.vector_at(at))]
            };
            at_addresses(sheet, and, |asm, d, m| asm.vand_load(d, a, m));
            let add = |sheet: &Sheet, d: &str, at: &str| {
                vec![format!("vpaddd {d},{a_name},{}", sheet.vector_at(at))]
            };
            at_addresses(sheet, add, |asm, d, m| asm.vpaddd_load(d, a, m));
        }
        for bits in SHIFTS {
            let shift = |sheet: &Sheet, d: &str, at: &str| match sheet.width {
                Width::Ymm => {
                    vec![format!("vmovdqu {d},{}", sheet.vector_at(at)), format!("vpsrld {d},{d},{bits:#x}")]
                }
                Width::Zmm => vec![format!("vpsrld {d},{},{bits:#x}", sheet.vector_at(at))],
            };
            at_addresses(sheet, shift, |asm, d, m| asm.vpsrld_load(d, m, bits));
        }
    });
}

#[test]
fn scalar_memory_forms() {
    both_widths(|sheet| {
        for (to, name, _) in GPRS {
            for (m, address) in addresses() {
                sheet.one(format!("mov {name},QWORD PTR {address}"), |asm| asm.mov_load(to, m));
                sheet.one(format!("add QWORD PTR {address},{name}"), |asm| asm.add_to(m, to));
                sheet.one(format!("lea {name},{address}"), |asm| asm.lea(to, m));
            }
        }
        for ((m, address), value) in addresses().into_iter().zip(IMMEDIATES.into_iter().cycle()) {
            let wide = i64::from(value);
            sheet.one(format!("add QWORD PTR {address},{wide:#x}"), |asm| asm.add_imm_to(m, value));
            sheet.one(format!("sub QWORD PTR {address},{wide:#x}"), |asm| asm.sub_imm_from(m, value));
            sheet.one(format!("mov DWORD PTR {address},{value:#x}"), |asm| asm.mov_imm_to(m, value as u32));
            sheet.one(format!("prefetcht0 BYTE PTR {address}"), |asm| asm.prefetcht0(m));
            sheet.one(format!("prefetchw BYTE PTR {address}"), |asm| asm.prefetchw(m));
        }
    });
}

#[test]
fn scalar_forms() {
    both_widths(|sheet| {
        for (to, name, name32) in GPRS {
            for value in IMMEDIATES {
                let wide = i64::from(value);
                sheet.one(format!("mov {name32},{value:#x}"), |asm| asm.mov_imm32(to, value as u32));
                sheet.one(format!("add {name},{wide:#x}"), |asm| asm.add_imm(to, value));
                sheet.one(format!("sub {name},{wide:#x}"), |asm| asm.sub_imm(to, value));
            }
            for (from, from_name, _) in GPRS {
                sheet.one(format!("add {name},{from_name}"), |asm| asm.add(to, from));
                sheet.one(format!("xchg {name},{from_name}"), |asm| asm.xchg(to, from));
                for value in IMMEDIATES {
                    let wide = i64::from(value);
                    sheet.one(format!("imul {name},{from_name},{wide:#x}"), |asm| asm.imul(to, from, value));
                }
            }
            for (base, base_name, _) in GPRS {
                for (stride, stride_name, _) in GPRS.into_iter().filter(|(g, ..)| *g != Gpr::Rsp) {
                    let texts = [
                        format!("lea {name},[{base_name}+{stride_name}*2]"),
                        format!("add {name},{stride_name}"),
                    ];
                    sheet.several(&texts, |asm| asm.lea_three_strides(to, base, stride));
                }
            }
        }
        for bytes in [32, 64, 96, 128, 4096] {
            let texts =
                ["push rbp", "mov rbp,rsp", &format!("sub rsp,{bytes:#x}"), "and rsp,0xffffffffffffffc0"];
            sheet.several(&texts.map(str::to_owned), |asm| asm.open_frame(bytes));
        }
        let page = ["sub rsp,0x1000", "mov DWORD PTR [rsp],0x0"];
        let large =
            [&["push rbp", "mov rbp,rsp"][..], &page, &page, &["sub rsp,0x40", "and rsp,0xffffffffffffffc0"]];
        sheet.several(&large.concat().into_iter().map(str::to_owned).collect::<Vec<_>>(), |asm| {
            asm.open_frame(8256)
        });
        sheet.several(&["mov rsp,rbp", "pop rbp"].map(str::to_owned), Asm::close_frame);
        sheet.several(&["vzeroupper", "ret"].map(str::to_owned), Asm::ret);
    });
}

/// Tests each jump twice: back to an earlier label, and forward over `distance` instructions.
#[test]
fn jumps() {
    type Jump = fn(&mut Asm, Label);
    let forms: [(&str, Jump); 4] = [("jb", Asm::jb), ("jae", Asm::jae), ("je", Asm::jz), ("jne", Asm::jnz)];
    one_width(Width::Zmm, |sheet| {
        for (mnemonic, jump) in forms {
            for distance in [0, 1, 20, 25, 26, 27, 30, 10_000] {
                let (back, forward) = (sheet.asm.new_label(), sheet.asm.new_label());
                sheet.asm.bind(back);
                let start = sheet.asm.offset();
                sheet.one(String::new(), |asm| jump(asm, forward));
                let forward_jump = sheet.expected.len() - 1;
                for _ in 0..distance {
                    sheet.one("mov eax,0x1".to_owned(), |asm| asm.mov_imm32(Gpr::Rax, 1));
                }
                sheet.one(format!("{mnemonic} {start:#x}"), |asm| jump(asm, back));
                sheet.asm.bind(forward);
                sheet.expected[forward_jump].1 = format!("{mnemonic} {:#x}", sheet.asm.offset());
            }
        }
        sheet.several(&["vzeroupper", "ret"].map(str::to_owned), Asm::ret);
    });
}
