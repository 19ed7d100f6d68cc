//! The loads and vector instructions of kernels.
//!
//! Each vector form has a VEX code for 256 bits and an EVEX code for 512 bits. iced-x86 encodes them,
//! because dynasm lacks EVEX and AVX-VNNI. dynasm also gives run-time registers and displacements
//! their longest VEX encodings.

use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

use super::Asm;
use super::registers::{Gpr, Mask, Mem, V, Width};

/// Defines methods `name(d, a, b)` on packed lanes.
macro_rules! three_operand_forms {
    ($($(#[$doc:meta])* $name:ident = $vex:ident | $evex:ident;)*) => {
        impl Asm {
            $(
                $(#[$doc])*
                pub(in crate::emit) fn $name(&mut self, d: V, a: V, b: V) {
                    let code = self.code(Code::$vex, Code::$evex);
                    self.encode(Instruction::with3(code, self.v(d), self.v(a), self.v(b)));
                }
            )*
        }

        #[cfg(test)]
        pub(in crate::emit) type ThreeOperandForm = (&'static str, fn(&mut Asm, V, V, V));

        /// Name and method of every form, for the test that decodes them.
        #[cfg(test)]
        pub(in crate::emit) const THREE_OPERAND_FORMS: &[ThreeOperandForm] = &[$((stringify!($name), Asm::$name)),*];
    };
}

three_operand_forms! {
    vpaddb = VEX_Vpaddb_ymm_ymm_ymmm256 | EVEX_Vpaddb_zmm_k1z_zmm_zmmm512;
    vpaddw = VEX_Vpaddw_ymm_ymm_ymmm256 | EVEX_Vpaddw_zmm_k1z_zmm_zmmm512;
    vpaddd = VEX_Vpaddd_ymm_ymm_ymmm256 | EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32;
    vpsubd = VEX_Vpsubd_ymm_ymm_ymmm256 | EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32;
    vmulps = VEX_Vmulps_ymm_ymm_ymmm256 | EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er;
    /// Multiplies u8 of `a` by i8 of `b`, and adds adjacent products to 16 bits with saturation.
    vpmaddubsw = VEX_Vpmaddubsw_ymm_ymm_ymmm256 | EVEX_Vpmaddubsw_zmm_k1z_zmm_zmmm512;
    /// Multiplies i16 by i16, and adds adjacent products to 32 bits.
    vpmaddwd = VEX_Vpmaddwd_ymm_ymm_ymmm256 | EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512;
    /// Adds the dot product of four u8 of `a` and four i8 of `b` to each 32-bit lane of `d`.
    vpdpbusd = VEX_Vpdpbusd_ymm_ymm_ymmm256 | EVEX_Vpdpbusd_zmm_k1z_zmm_zmmm512b32;
    /// Interleaves the lower four 16-bit lanes of each 128 bits.
    vpunpcklwd = VEX_Vpunpcklwd_ymm_ymm_ymmm256 | EVEX_Vpunpcklwd_zmm_k1z_zmm_zmmm512;
    /// Interleaves the upper four 16-bit lanes of each 128 bits.
    vpunpckhwd = VEX_Vpunpckhwd_ymm_ymm_ymmm256 | EVEX_Vpunpckhwd_zmm_k1z_zmm_zmmm512;
    /// Interleaves the lower two 32-bit lanes of each 128 bits.
    vpunpckldq = VEX_Vpunpckldq_ymm_ymm_ymmm256 | EVEX_Vpunpckldq_zmm_k1z_zmm_zmmm512b32;
    /// Interleaves the upper two 32-bit lanes of each 128 bits.
    vpunpckhdq = VEX_Vpunpckhdq_ymm_ymm_ymmm256 | EVEX_Vpunpckhdq_zmm_k1z_zmm_zmmm512b32;
    /// Joins the lower 64 bits of each 128 bits.
    vpunpcklqdq = VEX_Vpunpcklqdq_ymm_ymm_ymmm256 | EVEX_Vpunpcklqdq_zmm_k1z_zmm_zmmm512b64;
    /// Joins the upper 64 bits of each 128 bits.
    vpunpckhqdq = VEX_Vpunpckhqdq_ymm_ymm_ymmm256 | EVEX_Vpunpckhqdq_zmm_k1z_zmm_zmmm512b64;
    /// Bitwise and.
    vand = VEX_Vpand_ymm_ymm_ymmm256 | EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32;
}

impl Asm {
    pub(in crate::emit) fn zero(&mut self, d: V) {
        let code = self.code(Code::VEX_Vpxor_ymm_ymm_ymmm256, Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32);
        self.encode(Instruction::with3(code, self.v(d), self.v(d), self.v(d)));
    }

    /// Bitwise and with the vector at `m`.
    pub(in crate::emit) fn vand_load(&mut self, d: V, a: V, m: Mem) {
        let code = self.code(Code::VEX_Vpand_ymm_ymm_ymmm256, Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32);
        self.encode(Instruction::with3(code, self.v(d), self.v(a), memory(m)));
    }

    /// Adds the 32-bit lanes at `m`.
    pub(in crate::emit) fn vpaddd_load(&mut self, d: V, a: V, m: Mem) {
        let code = self.code(Code::VEX_Vpaddd_ymm_ymm_ymmm256, Code::EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32);
        self.encode(Instruction::with3(code, self.v(d), self.v(a), memory(m)));
    }

    /// Interleaves the lower eight bytes of each 128 bits with those at `m`.
    pub(in crate::emit) fn vpunpcklbw_load(&mut self, d: V, a: V, m: Mem) {
        let code = self.code(Code::VEX_Vpunpcklbw_ymm_ymm_ymmm256, Code::EVEX_Vpunpcklbw_zmm_k1z_zmm_zmmm512);
        self.encode(Instruction::with3(code, self.v(d), self.v(a), memory(m)));
    }

    /// Interleaves the upper eight bytes of each 128 bits with those at `m`.
    pub(in crate::emit) fn vpunpckhbw_load(&mut self, d: V, a: V, m: Mem) {
        let code = self.code(Code::VEX_Vpunpckhbw_ymm_ymm_ymmm256, Code::EVEX_Vpunpckhbw_zmm_k1z_zmm_zmmm512);
        self.encode(Instruction::with3(code, self.v(d), self.v(a), memory(m)));
    }

    pub(in crate::emit) fn load(&mut self, d: V, m: Mem) {
        let code = self.code(Code::VEX_Vmovdqu_ymm_ymmm256, Code::EVEX_Vmovdqu32_zmm_k1z_zmmm512);
        self.encode(Instruction::with2(code, self.v(d), memory(m)));
    }

    pub(in crate::emit) fn store(&mut self, m: Mem, s: V) {
        let code = self.code(Code::VEX_Vmovdqu_ymmm256_ymm, Code::EVEX_Vmovdqu32_zmmm512_k1z_zmm);
        self.encode(Instruction::with2(code, memory(m), self.v(s)));
    }

    /// Copies the 128 bits at `m` to every 128 bits.
    pub(in crate::emit) fn broadcast_lane(&mut self, d: V, m: Mem) {
        let code = self.code(Code::VEX_Vbroadcasti128_ymm_m128, Code::EVEX_Vbroadcasti32x4_zmm_k1z_m128);
        self.encode(Instruction::with2(code, self.v(d), memory(m)));
    }

    /// Loads 128 bits into one `lane` of 128 bits, and keeps the others.
    pub(in crate::emit) fn insert_lane(&mut self, d: V, m: Mem, lane: u8) {
        let code = self.code(
            Code::VEX_Vinserti128_ymm_ymm_xmmm128_imm8,
            Code::EVEX_Vinserti32x4_zmm_k1z_zmm_xmmm128_imm8,
        );
        self.encode(Instruction::with4(code, self.v(d), self.v(d), memory(m), u32::from(lane)));
    }

    /// Copies the 32 bits at `m` to every lane.
    pub(in crate::emit) fn broadcast(&mut self, d: V, m: Mem) {
        let code = self.code(Code::VEX_Vpbroadcastd_ymm_xmmm32, Code::EVEX_Vpbroadcastd_zmm_k1z_xmmm32);
        self.encode(Instruction::with2(code, self.v(d), memory(m)));
    }

    /// Copies `value` to every 32-bit lane. Clobbers `rax`.
    pub(in crate::emit) fn constant(&mut self, d: V, value: u32) {
        self.mov_imm32(Gpr::Rax, value);
        match self.width {
            Width::Ymm => {
                let low = Register::XMM0 + u32::from(d.id());
                self.encode(Instruction::with2(Code::VEX_Vmovd_xmm_rm32, low, Register::EAX));
                self.encode(Instruction::with2(Code::VEX_Vpbroadcastd_ymm_xmmm32, self.v(d), low));
            }
            Width::Zmm => {
                self.encode(Instruction::with2(
                    Code::EVEX_Vpbroadcastd_zmm_k1z_r32,
                    self.v(d),
                    Register::EAX,
                ));
            }
        }
    }

    /// Shifts 32-bit lanes right, filling with zeros.
    pub(in crate::emit) fn vpsrld(&mut self, d: V, a: V, bits: u8) {
        let code = self.code(Code::VEX_Vpsrld_ymm_ymm_imm8, Code::EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8);
        self.encode(Instruction::with3(code, self.v(d), self.v(a), u32::from(bits)));
    }

    /// Shifts the 32-bit lanes at `m` right, filling with zeros.
    pub(in crate::emit) fn vpsrld_load(&mut self, d: V, m: Mem, bits: u8) {
        match self.width {
            Width::Ymm => {
                self.load(d, m);
                self.vpsrld(d, d, bits);
            }
            Width::Zmm => {
                let code = Code::EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8;
                self.encode(Instruction::with3(code, self.v(d), memory(m), u32::from(bits)));
            }
        }
    }

    /// Shifts 32-bit lanes right, filling with the sign.
    pub(in crate::emit) fn vpsrad(&mut self, d: V, a: V, bits: u8) {
        let code = self.code(Code::VEX_Vpsrad_ymm_ymm_imm8, Code::EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8);
        self.encode(Instruction::with3(code, self.v(d), self.v(a), u32::from(bits)));
    }

    /// Converts 32-bit integers to f32, rounding to nearest.
    pub(in crate::emit) fn vcvtdq2ps(&mut self, d: V, a: V) {
        let code = self.code(Code::VEX_Vcvtdq2ps_ymm_ymmm256, Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er);
        self.encode(Instruction::with2(code, self.v(d), self.v(a)));
    }

    /// 256-bit only: sets the bytes where a > b to -1, and the others to 0. Bytes are signed.
    pub(in crate::emit) fn vpcmpgtb(&mut self, d: V, a: V, b: V) {
        self.only(Width::Ymm);
        self.encode(Instruction::with3(Code::VEX_Vpcmpgtb_ymm_ymm_ymmm256, self.v(d), self.v(a), self.v(b)));
    }

    /// 256-bit only: takes the absolute value of bytes.
    pub(in crate::emit) fn vpabsb(&mut self, d: V, a: V) {
        self.only(Width::Ymm);
        self.encode(Instruction::with2(Code::VEX_Vpabsb_ymm_ymmm256, self.v(d), self.v(a)));
    }

    /// 512-bit only: sets the mask of the bytes where a ≥ b. Bytes are unsigned.
    pub(in crate::emit) fn vpcmpnltub(&mut self, mask: Mask, a: V, b: V) {
        const NOT_LESS: u32 = 5;
        self.only(Width::Zmm);
        let code = Code::EVEX_Vpcmpub_kr_k1_zmm_zmmm512_imm8;
        self.encode(Instruction::with4(code, k(mask), self.v(a), self.v(b), NOT_LESS));
    }

    /// 512-bit only: copies the bytes of `a` where the mask is set, and clears the others.
    pub(in crate::emit) fn vmovdqu8_zeroing(&mut self, d: V, mask: Mask, a: V) {
        self.only(Width::Zmm);
        let masked =
            Instruction::with2(Code::EVEX_Vmovdqu8_zmm_k1z_zmmm512, self.v(d), self.v(a)).map(|mut i| {
                i.set_op_mask(k(mask));
                i.set_zeroing_masking(true);
                i
            });
        self.encode(masked);
    }

    /// 512-bit only: adds the bytes where the mask is set, and keeps the other bytes of `d`.
    pub(in crate::emit) fn vpaddb_masked(&mut self, d: V, mask: Mask, a: V, b: V) {
        self.only(Width::Zmm);
        let code = Code::EVEX_Vpaddb_zmm_k1z_zmm_zmmm512;
        let masked = Instruction::with3(code, self.v(d), self.v(a), self.v(b)).map(|mut i| {
            i.set_op_mask(k(mask));
            i
        });
        self.encode(masked);
    }

    /// 512-bit only: sets the mask of the bytes of `a` that are 128 or more.
    pub(in crate::emit) fn vpmovb2m(&mut self, mask: Mask, a: V) {
        self.only(Width::Zmm);
        self.encode(Instruction::with2(Code::EVEX_Vpmovb2m_kr_zmm, k(mask), self.v(a)));
    }

    /// Inverts a mask of 64 lanes.
    pub(in crate::emit) fn knotq(&mut self, mask: Mask, of: Mask) {
        self.encode(Instruction::with2(Code::VEX_Knotq_kr_kr, k(mask), k(of)));
    }

    /// 512-bit only: looks up the bytes of `d` where the mask is set, and keeps the others.
    ///
    /// The low seven bits of a byte are its index: 0 to 63 in `a`, and 64 to 127 in `b`.
    pub(in crate::emit) fn vpermi2b_masked(&mut self, d: V, mask: Mask, a: V, b: V) {
        self.only(Width::Zmm);
        let code = Code::EVEX_Vpermi2b_zmm_k1z_zmm_zmmm512;
        self.encode(Instruction::with3(code, self.v(d), self.v(a), self.v(b)).map(|mut i| {
            i.set_op_mask(k(mask));
            i
        }));
    }

    /// Loads 64 bits.
    pub(in crate::emit) fn mov_load(&mut self, to: Gpr, m: Mem) {
        self.encode(Instruction::with2(Code::Mov_r64_rm64, gpr(to), memory(m)));
    }

    /// Computes an address.
    pub(in crate::emit) fn lea(&mut self, to: Gpr, m: Mem) {
        self.encode(Instruction::with2(Code::Lea_r64_m, gpr(to), memory(m)));
    }

    /// Exchanges two registers.
    pub(in crate::emit) fn xchg(&mut self, a: Gpr, b: Gpr) {
        self.encode(Instruction::with2(Code::Xchg_rm64_r64, gpr(a), gpr(b)));
    }

    /// Loads 32 bits, and clears the upper half.
    pub(in crate::emit) fn mov_load32(&mut self, to: Gpr, m: Mem) {
        self.encode(Instruction::with2(Code::Mov_r32_rm32, gpr32(to), memory(m)));
    }

    /// Stores 32 bits.
    pub(in crate::emit) fn mov_imm_to(&mut self, m: Mem, value: u32) {
        self.encode(Instruction::with2(Code::Mov_rm32_imm32, memory(m), value));
    }

    /// Adds the 64 bits at `m`.
    pub(in crate::emit) fn add_load(&mut self, to: Gpr, m: Mem) {
        self.encode(Instruction::with2(Code::Add_r64_rm64, gpr(to), memory(m)));
    }

    /// Computes to = a · factor.
    pub(in crate::emit) fn imul(&mut self, to: Gpr, a: Gpr, factor: i32) {
        self.encode(Instruction::with3(Code::Imul_r64_rm64_imm32, gpr(to), gpr(a), factor));
    }

    /// Adds a register to the 64 bits at `m`.
    pub(in crate::emit) fn add_to(&mut self, m: Mem, value: Gpr) {
        self.encode(Instruction::with2(Code::Add_rm64_r64, memory(m), gpr(value)));
    }

    /// Adds a constant to the 64 bits at `m`.
    pub(in crate::emit) fn add_imm_to(&mut self, m: Mem, value: i32) {
        self.encode(Instruction::with2(Code::Add_rm64_imm32, memory(m), value));
    }

    /// Subtracts a constant from the 64 bits at `m`.
    pub(in crate::emit) fn sub_imm_from(&mut self, m: Mem, value: i32) {
        self.encode(Instruction::with2(Code::Sub_rm64_imm32, memory(m), value));
    }

    /// Prefetches the line at `m` into every cache level.
    pub(in crate::emit) fn prefetcht0(&mut self, m: Mem) {
        self.encode(Instruction::with1(Code::Prefetcht0_m8, memory(m)));
    }

    /// Prefetches the line at `m` into the second-level cache.
    pub(in crate::emit) fn prefetcht1(&mut self, m: Mem) {
        self.encode(Instruction::with1(Code::Prefetcht1_m8, memory(m)));
    }

    /// Prefetches the line at `m` for writing. CPUs that do not know the instruction ignore it.
    pub(in crate::emit) fn prefetchw(&mut self, m: Mem) {
        self.encode(Instruction::with1(Code::Prefetchw_m8, memory(m)));
    }

    fn code(&self, vex: Code, evex: Code) -> Code {
        match self.width {
            Width::Ymm => vex,
            Width::Zmm => evex,
        }
    }

    fn v(&self, v: V) -> Register {
        let first = match self.width {
            Width::Ymm => Register::YMM0,
            Width::Zmm => Register::ZMM0,
        };
        first + u32::from(v.id())
    }

    fn only(&self, width: Width) {
        assert_eq!(self.width, width, "the form exists in one width only");
    }

    pub(super) fn encode(&mut self, instruction: Result<Instruction, IcedError>) {
        let instruction = instruction.expect("operands match the instruction code");
        self.encoder.encode(&instruction, 0).expect("an instruction without labels encodes anywhere");
        self.ops.extend(&self.encoder.take_buffer());
    }
}

fn k(mask: Mask) -> Register {
    Register::K0 + mask as u32
}

fn gpr(g: Gpr) -> Register {
    Register::RAX + u32::from(g.id())
}

fn gpr32(g: Gpr) -> Register {
    Register::EAX + u32::from(g.id())
}

pub(super) fn memory(m: Mem) -> MemoryOperand {
    let (index, scale) = m.index.map_or((Register::None, 1), |(index, scale)| (gpr(index), scale));
    // Size 0 means no displacement. Size 1 lets the encoder choose the shortest one.
    let size = u32::from(m.disp != 0);
    MemoryOperand::new(gpr(m.base), index, scale.into(), m.disp.into(), size, false, Register::None)
}
