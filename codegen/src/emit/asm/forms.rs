//! The vector instructions of the kernels, at the assembler's width: VEX forms through dynasm, and through
//! iced-x86's encoder the forms that dynasm 5 does not know (EVEX, and AVX-VNNI's VEX `vpdpbusd`).

use dynasmrt::{DynasmApi, dynasm};
use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::registers::{Gpr, Mask, Mem, V, Width};
use super::Asm;

fn ymm(v: V) -> Register {
    Register::YMM0 + u32::from(v.id())
}

fn zmm(v: V) -> Register {
    Register::ZMM0 + u32::from(v.id())
}

fn k(mask: Mask) -> Register {
    Register::K0 + mask as u32
}

fn gpr64(g: Gpr) -> Register {
    Register::RAX + u32::from(g.id())
}

fn memory(m: Mem) -> MemoryOperand {
    let (index, scale) = m.index.map_or((Register::None, 1), |(index, scale)| (gpr64(index), scale));
    MemoryOperand::new(gpr64(m.base), index, scale.into(), m.disp.into(), 1, false, Register::None)
}

/// `name d, a, b` on packed lanes, in both widths.
macro_rules! three_operand_forms {
    ($($(#[$doc:meta])* $name:ident = $evex:ident;)*) => {
        impl Asm {
            $(
                $(#[$doc])*
                pub(in crate::emit) fn $name(&mut self, d: V, a: V, b: V) {
                    match self.width {
                        Width::Ymm => dynasm!(self.ops ; .arch x64 ; $name Ry(d.id()), Ry(a.id()), Ry(b.id())),
                        Width::Zmm => self.encode(Instruction::with3(Code::$evex, zmm(d), zmm(a), zmm(b))),
                    }
                }
            )*
        }

        #[cfg(test)]
        pub(super) type ThreeOperandForm = (&'static str, fn(&mut Asm, V, V, V));

        /// Every form of this kind, for the test that decodes them.
        #[cfg(test)]
        pub(super) const THREE_OPERAND_FORMS: &[ThreeOperandForm] = &[$((stringify!($name), Asm::$name)),*];
    };
}

three_operand_forms! {
    vpaddb = EVEX_Vpaddb_zmm_k1z_zmm_zmmm512;
    vpaddw = EVEX_Vpaddw_zmm_k1z_zmm_zmmm512;
    vpaddd = EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32;
    vpsubd = EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32;
    vmulps = EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er;
    /// u8 of `a` times i8 of `b`, adjacent products added with signed saturation to 16 bits.
    vpmaddubsw = EVEX_Vpmaddubsw_zmm_k1z_zmm_zmmm512;
    /// i16 times i16, adjacent products added to 32 bits.
    vpmaddwd = EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512;
}

impl Asm {
    fn encode(&mut self, instruction: Result<Instruction, iced_x86::IcedError>) {
        let instruction = instruction.expect("operands match the instruction code");
        self.encoder.encode(&instruction, 0).expect("an instruction without labels encodes anywhere");
        let bytes = self.encoder.take_buffer();
        self.ops.extend(&bytes);
    }

    /// Adds to each 32-bit lane of `acc` the dot product of four u8 of `codes` and four i8 of `acts`.
    pub(in crate::emit) fn vpdpbusd(&mut self, acc: V, codes: V, acts: V) {
        self.encode(match self.width {
            Width::Ymm => {
                Instruction::with3(Code::VEX_Vpdpbusd_ymm_ymm_ymmm256, ymm(acc), ymm(codes), ymm(acts))
            }
            Width::Zmm => {
                Instruction::with3(Code::EVEX_Vpdpbusd_zmm_k1z_zmm_zmmm512b32, zmm(acc), zmm(codes), zmm(acts))
            }
        });
    }

    pub(in crate::emit) fn zero(&mut self, d: V) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vpxor Ry(d.id()), Ry(d.id()), Ry(d.id())),
            Width::Zmm => {
                self.encode(Instruction::with3(Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32, zmm(d), zmm(d), zmm(d)));
            }
        }
    }

    pub(in crate::emit) fn vand(&mut self, d: V, a: V, b: V) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vpand Ry(d.id()), Ry(a.id()), Ry(b.id())),
            Width::Zmm => {
                self.encode(Instruction::with3(Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32, zmm(d), zmm(a), zmm(b)));
            }
        }
    }

    pub(in crate::emit) fn vand_load(&mut self, d: V, a: V, m: Mem) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vpand Ry(d.id()), Ry(a.id()), [Rq(m.base.id()) + m.disp]),
            Width::Zmm => self.encode(Instruction::with3(
                Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32,
                zmm(d),
                zmm(a),
                memory(m),
            )),
        }
    }

    pub(in crate::emit) fn load(&mut self, d: V, m: Mem) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vmovdqu Ry(d.id()), [Rq(m.base.id()) + m.disp]),
            Width::Zmm => {
                self.encode(Instruction::with2(Code::EVEX_Vmovdqu32_zmm_k1z_zmmm512, zmm(d), memory(m)));
            }
        }
    }

    pub(in crate::emit) fn store(&mut self, m: Mem, s: V) {
        match (self.width, m.index) {
            (Width::Zmm, _) => {
                self.encode(Instruction::with2(Code::EVEX_Vmovdqu32_zmmm512_k1z_zmm, memory(m), zmm(s)));
            }
            (Width::Ymm, None) => {
                dynasm!(self.ops ; .arch x64 ; vmovdqu [Rq(m.base.id()) + m.disp], Ry(s.id()));
            }
            (Width::Ymm, Some((index, 1))) => {
                dynasm!(self.ops ; .arch x64 ; vmovdqu [Rq(m.base.id()) + Rq(index.id()) + m.disp], Ry(s.id()));
            }
            (Width::Ymm, Some((index, _))) => {
                dynasm!(self.ops ; .arch x64 ; vmovdqu [Rq(m.base.id()) + 2 * Rq(index.id()) + m.disp], Ry(s.id()));
            }
        }
    }

    /// Adds the 32-bit lanes at `m`.
    pub(in crate::emit) fn vpaddd_load(&mut self, d: V, a: V, m: Mem) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vpaddd Ry(d.id()), Ry(a.id()), [Rq(m.base.id()) + m.disp]),
            Width::Zmm => self.encode(Instruction::with3(
                Code::EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32,
                zmm(d),
                zmm(a),
                memory(m),
            )),
        }
    }

    /// Copies the 32 bits at `m` to every lane.
    pub(in crate::emit) fn broadcast(&mut self, d: V, m: Mem) {
        match (self.width, m.index) {
            (Width::Zmm, _) => {
                self.encode(Instruction::with2(Code::EVEX_Vpbroadcastd_zmm_k1z_xmmm32, zmm(d), memory(m)));
            }
            (Width::Ymm, None) => {
                dynasm!(self.ops ; .arch x64 ; vpbroadcastd Ry(d.id()), [Rq(m.base.id()) + m.disp]);
            }
            (Width::Ymm, Some((index, 1))) => {
                dynasm!(self.ops ; .arch x64
                    ; vpbroadcastd Ry(d.id()), [Rq(m.base.id()) + Rq(index.id()) + m.disp]);
            }
            (Width::Ymm, Some((index, _))) => {
                dynasm!(self.ops ; .arch x64
                    ; vpbroadcastd Ry(d.id()), [Rq(m.base.id()) + 2 * Rq(index.id()) + m.disp]);
            }
        }
    }

    /// Copies `value` to every 32-bit lane, by way of `rax`.
    pub(in crate::emit) fn constant(&mut self, d: V, value: u32) {
        self.mov_imm32(Gpr::Rax, value);
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64
                ; vmovd Rx(d.id()), eax
                ; vpbroadcastd Ry(d.id()), Rx(d.id())
            ),
            Width::Zmm => {
                self.encode(Instruction::with2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, zmm(d), Register::EAX));
            }
        }
    }

    /// Logical right shift of 32-bit lanes.
    pub(in crate::emit) fn vpsrld(&mut self, d: V, a: V, bits: u8) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vpsrld Ry(d.id()), Ry(a.id()), bits as i8),
            Width::Zmm => self.encode(Instruction::with3(
                Code::EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8,
                zmm(d),
                zmm(a),
                u32::from(bits),
            )),
        }
    }

    /// Logical right shift of the 32-bit lanes at `m`.
    pub(in crate::emit) fn vpsrld_load(&mut self, d: V, m: Mem, bits: u8) {
        match self.width {
            Width::Ymm => {
                self.load(d, m);
                self.vpsrld(d, d, bits);
            }
            Width::Zmm => self.encode(Instruction::with3(
                Code::EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8,
                zmm(d),
                memory(m),
                u32::from(bits),
            )),
        }
    }

    /// Arithmetic right shift of 32-bit lanes.
    pub(in crate::emit) fn vpsrad(&mut self, d: V, a: V, bits: u8) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vpsrad Ry(d.id()), Ry(a.id()), bits as i8),
            Width::Zmm => self.encode(Instruction::with3(
                Code::EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8,
                zmm(d),
                zmm(a),
                u32::from(bits),
            )),
        }
    }

    pub(in crate::emit) fn vcvtdq2ps(&mut self, d: V, a: V) {
        match self.width {
            Width::Ymm => dynasm!(self.ops ; .arch x64 ; vcvtdq2ps Ry(d.id()), Ry(a.id())),
            Width::Zmm => {
                self.encode(Instruction::with2(Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er, zmm(d), zmm(a)));
            }
        }
    }

    /// 256-bit only: all ones in the bytes where a > b, both signed.
    pub(in crate::emit) fn vpcmpgtb(&mut self, d: V, a: V, b: V) {
        assert_eq!(self.width, Width::Ymm, "EVEX compares into mask registers");
        dynasm!(self.ops ; .arch x64 ; vpcmpgtb Ry(d.id()), Ry(a.id()), Ry(b.id()));
    }

    /// 256-bit only: absolute value of bytes.
    pub(in crate::emit) fn vpabsb(&mut self, d: V, a: V) {
        assert_eq!(self.width, Width::Ymm, "not used at 512 bits");
        dynasm!(self.ops ; .arch x64 ; vpabsb Ry(d.id()), Ry(a.id()));
    }

    /// 512-bit only: the bytes where a ≥ b, both unsigned.
    pub(in crate::emit) fn vpcmpnltub(&mut self, mask: Mask, a: V, b: V) {
        assert_eq!(self.width, Width::Zmm, "mask registers are EVEX");
        const NOT_LESS: u32 = 5;
        self.encode(Instruction::with4(Code::EVEX_Vpcmpub_kr_k1_zmm_zmmm512_imm8, k(mask), zmm(a), zmm(b), NOT_LESS));
    }

    /// 512-bit only: bytes of `a` where the mask is set, zero elsewhere.
    pub(in crate::emit) fn vmovdqu8_zeroing(&mut self, d: V, mask: Mask, a: V) {
        assert_eq!(self.width, Width::Zmm, "mask registers are EVEX");
        self.encode(Instruction::with2(Code::EVEX_Vmovdqu8_zmm_k1z_zmmm512, zmm(d), zmm(a)).map(|mut i| {
            i.set_op_mask(k(mask));
            i.set_zeroing_masking(true);
            i
        }));
    }

    /// 512-bit only: adds the bytes where the mask is set, and leaves the others of `d`.
    pub(in crate::emit) fn vpaddb_masked(&mut self, d: V, mask: Mask, a: V, b: V) {
        assert_eq!(self.width, Width::Zmm, "mask registers are EVEX");
        self.encode(Instruction::with3(Code::EVEX_Vpaddb_zmm_k1z_zmm_zmmm512, zmm(d), zmm(a), zmm(b)).map(|mut i| {
            i.set_op_mask(k(mask));
            i
        }));
    }
}
