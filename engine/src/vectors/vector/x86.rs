//! Vectors of x86-64 CPUs beyond the baseline: AVX2 and AVX-512.

use std::arch::x86_64::*;

use half::f16;

use super::Vector;

/// Returns true if this CPU has the instructions of `__m256`'s vectors: AVX2, F16C and FMA.
pub(in crate::vectors) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") && is_x86_feature_detected!("fma")
}

/// AVX2, F16C and FMA.
impl Vector for __m256 {
    const LANES: usize = 8;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises the instructions and LANES floats to read.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const f16) -> Self {
        // SAFETY: the caller promises the instructions and LANES halves to read.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
        // SAFETY: the caller promises the instructions and LANES bf16 to read.
        let wide = unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())) };
        // SAFETY: the caller promises the instructions and LANES bf16 to read.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises the instructions and room for LANES floats.
        unsafe { _mm256_storeu_ps(to, self) };
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm256_fmadd_ps(a, b, self) }
    }

    type Integers = __m256i;

    #[inline(always)]
    unsafe fn load_integers(from: *const i32) -> __m256i {
        // SAFETY: the caller promises the instructions and LANES integers to read.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store_integers(integers: __m256i, to: *mut i32) {
        // SAFETY: the caller promises the instructions and room for LANES integers.
        unsafe { _mm256_storeu_si256(to.cast(), integers) };
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const i8) -> __m256i {
        // SAFETY: the caller promises the instructions and LANES pairs of bytes to read.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const i16) -> __m256i {
        // SAFETY: the caller promises the instructions and two integers to read.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn add_pairs(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)) }
    }

    #[inline(always)]
    fn prefetch<T>(address: *const T) {
        // SAFETY: a prefetch does not fault, and every x86-64 CPU has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
}

/// AVX-512 F and BW.
impl Vector for __m512 {
    const LANES: usize = 16;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises the instructions and LANES floats to read.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const f16) -> Self {
        // SAFETY: the caller promises the instructions and LANES halves to read.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
        // SAFETY: the caller promises the instructions and LANES bf16 to read.
        let wide = unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())) };
        // SAFETY: the caller promises the instructions and LANES bf16 to read.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises the instructions and room for LANES floats.
        unsafe { _mm512_storeu_ps(to, self) };
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm512_fmadd_ps(a, b, self) }
    }

    type Integers = __m512i;

    #[inline(always)]
    unsafe fn load_integers(from: *const i32) -> __m512i {
        // SAFETY: the caller promises the instructions and LANES integers to read.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store_integers(integers: __m512i, to: *mut i32) {
        // SAFETY: the caller promises the instructions and room for LANES integers.
        unsafe { _mm512_storeu_si512(to.cast(), integers) };
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const i8) -> __m512i {
        // SAFETY: the caller promises the instructions and LANES pairs of bytes to read.
        unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const i16) -> __m512i {
        // SAFETY: the caller promises the instructions and two integers to read.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn add_pairs(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(a, b)) }
    }

    #[inline(always)]
    fn prefetch<T>(address: *const T) {
        // SAFETY: a prefetch does not fault, and every x86-64 CPU has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
}

/// AVX-512 F and BW, with VNNI.
#[derive(Clone, Copy)]
pub(in crate::vectors) struct Vnni(__m512);

/// Every method but [`Vector::add_pairs`] is that of `__m512`.
impl Vector for Vnni {
    const LANES: usize = 16;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller promises the instructions.
        Vnni(unsafe { __m512::splat(x) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises the instructions and LANES floats to read.
        Vnni(unsafe { __m512::load(from) })
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const f16) -> Self {
        // SAFETY: the caller promises the instructions and LANES halves to read.
        Vnni(unsafe { __m512::load_halves(from) })
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
        // SAFETY: the caller promises the instructions and LANES bf16 to read.
        Vnni(unsafe { __m512::load_bf16(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises the instructions and room for LANES floats.
        unsafe { self.0.store(to) };
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller promises the instructions.
        Vnni(unsafe { self.0.add_product(a.0, b.0) })
    }

    type Integers = __m512i;

    #[inline(always)]
    unsafe fn load_integers(from: *const i32) -> __m512i {
        // SAFETY: the caller promises the instructions and LANES integers to read.
        unsafe { __m512::load_integers(from) }
    }

    #[inline(always)]
    unsafe fn store_integers(integers: __m512i, to: *mut i32) {
        // SAFETY: the caller promises the instructions and room for LANES integers.
        unsafe { __m512::store_integers(integers, to) };
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const i8) -> __m512i {
        // SAFETY: the caller promises the instructions and LANES pairs of bytes to read.
        unsafe { __m512::load_pairs(from) }
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const i16) -> __m512i {
        // SAFETY: the caller promises the instructions and two integers to read.
        unsafe { __m512::splat_pair(from) }
    }

    #[inline(always)]
    unsafe fn add_pairs(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller promises the instructions.
        unsafe { _mm512_dpwssd_epi32(sums, a, b) }
    }

    #[inline(always)]
    fn prefetch<T>(address: *const T) {
        __m512::prefetch(address);
    }
}
