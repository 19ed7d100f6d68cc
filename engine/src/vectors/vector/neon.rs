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

    type Integers = int32x4_t;

    #[inline(always)]
    unsafe fn load_integers(from: *const i32) -> int32x4_t {
        // SAFETY: the caller promises the instructions and LANES integers to read.
        unsafe { vld1q_s32(from) }
    }

    #[inline(always)]
    unsafe fn store_integers(integers: int32x4_t, to: *mut i32) {
        // SAFETY: the caller promises the instructions and room for LANES integers.
        unsafe { vst1q_s32(to, integers) };
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const i8) -> int32x4_t {
        // SAFETY: the caller promises the instructions and LANES pairs of bytes to read.
        unsafe { vreinterpretq_s32_s16(vmovl_s8(vld1_s8(from))) }
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const i16) -> int32x4_t {
        // SAFETY: the caller promises the instructions and two integers to read.
        unsafe { vdupq_n_s32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn add_pairs(sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the caller promises the instructions.
        unsafe {
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            vaddq_s32(sums, vpaddq_s32(low, vmull_high_s16(a, b)))
        }
    }
}
