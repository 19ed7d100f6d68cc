//! Vectors of floats on every CPU, for code whose lanes are independent of each other: however many there are to a
//! register, every lane computes the same. Products and sums are rounded separately everywhere.

use half::f16;

/// A register of floats.
pub(super) trait Vector: Copy {
    /// Floats in a register.
    const LANES: usize;
    /// Rows of sums, of two registers each, that the register file holds beside their operands.
    const ROWS: usize;

    /// # Safety
    /// The CPU has the vector's instructions.
    unsafe fn splat(x: f32) -> Self;

    /// # Safety
    /// The CPU has the vector's instructions, and LANES floats can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;

    /// # Safety
    /// The CPU has the vector's instructions, and LANES halves can be read at `from`.
    unsafe fn load_halves(from: *const f16) -> Self;

    /// # Safety
    /// The CPU has the vector's instructions, and LANES bf16 in little-endian bytes can be read at `from`.
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self;

    /// # Safety
    /// The CPU has the vector's instructions, and LANES floats can be written at `to`.
    unsafe fn store(self, to: *mut f32);

    /// self + a · b.
    ///
    /// # Safety
    /// The CPU has the vector's instructions.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;

    /// Asks for the cache line at `_address`, which may be any, to be brought near.
    fn prefetch<T>(_address: *const T) {}
}

/// The float whose upper half the bytes are.
pub(super) fn from_bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// Plain Rust.
impl Vector for [f32; 8] {
    const LANES: usize = 8;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; the array has no alignment of its own.
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const f16) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f16; 8]>().read() }.map(f16::to_f32)
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[[u8; 2]; 8]>().read() }.map(from_bf16)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self>().write(self) };
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Vector, f16};

    /// AVX2 and F16C.
    impl Vector for __m256 {
        const LANES: usize = 8;
        const ROWS: usize = 4;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_set1_ps(x) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_halves(from: *const f16) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
        }

        #[inline(always)]
        unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
            // SAFETY: the caller's promise.
            let wide = unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())) };
            // SAFETY: the caller's promise.
            unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide)) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_ps(to, self) };
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_add_ps(self, _mm256_mul_ps(a, b)) }
        }

        #[inline(always)]
        fn prefetch<T>(address: *const T) {
            // SAFETY: a prefetch does not fault, and every x86-64 CPU has it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
    }

    /// AVX-512 F.
    impl Vector for __m512 {
        const LANES: usize = 16;
        const ROWS: usize = 8;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_set1_ps(x) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_halves(from: *const f16) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
        }

        #[inline(always)]
        unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
            // SAFETY: the caller's promise.
            let wide = unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())) };
            // SAFETY: the caller's promise.
            unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(to, self) };
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_add_ps(self, _mm512_mul_ps(a, b)) }
        }

        #[inline(always)]
        fn prefetch<T>(address: *const T) {
            // SAFETY: a prefetch does not fault, and every x86-64 CPU has it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
    }
}
