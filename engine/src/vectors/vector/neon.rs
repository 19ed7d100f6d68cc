//! Vectors of AArch64: NEON, which every such CPU has.

use std::arch::aarch64::*;

use half::f16;

use super::Vector;

impl Vector for float32x4_t {
    const LANES: usize = 4;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller promises the instructions.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises the instructions and LANES floats to read.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const f16) -> Self {
        // SAFETY: the caller promises the instructions and LANES halves to read.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
        // SAFETY: the caller promises the instructions and LANES bf16 to read.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises the instructions and room for LANES floats.
        unsafe { vst1q_f32(to, self) };
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller promises the instructions.
        unsafe { vfmaq_f32(self, a, b) }
    }
}
