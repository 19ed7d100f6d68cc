//! Vectors of floats on every CPU, for loops with independent lanes.
//!
//! Each lane computes the same bits, whatever the number of lanes in a register: every multiply-add is
//! fused.

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use half::f16;

/// The vectors of every CPU that can run this program.
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(super) type Baseline = std::arch::aarch64::float32x4_t;
/// The vectors of every CPU that can run this program.
#[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
pub(super) type Baseline = [f32; 8];

/// A register of floats.
pub(super) trait Vector: Copy {
    /// Floats in a register.
    const LANES: usize;
    /// Rows of sums, two registers each, that fit the register file together with their operands.
    const ROWS: usize;

    /// Returns `x` in every lane.
    ///
    /// # Safety
    /// The CPU has the vector's instructions.
    unsafe fn splat(x: f32) -> Self;

    /// Loads LANES floats.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES floats can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;

    /// Loads LANES halves and converts them.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES halves can be read at `from`.
    unsafe fn load_halves(from: *const f16) -> Self;

    /// Loads LANES bf16 and converts them.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES bf16 in little-endian bytes can be read at
    /// `from`.
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self;

    /// Stores LANES floats.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES floats can be written at `to`.
    unsafe fn store(self, to: *mut f32);

    /// Returns self + a · b, rounded once.
    ///
    /// # Safety
    /// The CPU has the vector's instructions.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;

    /// A register of LANES 32-bit integers, or of as many pairs of 16-bit integers.
    type Integers: Copy;

    /// Loads LANES integers.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES integers can be read at `from`.
    unsafe fn load_integers(from: *const i32) -> Self::Integers;

    /// Stores LANES integers.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES integers can be written at `to`.
    unsafe fn store_integers(integers: Self::Integers, to: *mut i32);

    /// Loads LANES pairs of bytes as pairs of 16-bit integers.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and LANES pairs can be read at `from`.
    unsafe fn load_pairs(from: *const i8) -> Self::Integers;

    /// Returns the pair at `from` in every lane.
    ///
    /// # Safety
    /// The CPU has the vector's instructions, and two integers can be read at `from`.
    unsafe fn splat_pair(from: *const i16) -> Self::Integers;

    /// Returns sums + a · b, with the products of a pair added up. `sums` are integers, `a` and `b` pairs.
    ///
    /// # Safety
    /// The CPU has the vector's instructions.
    unsafe fn add_pairs(sums: Self::Integers, a: Self::Integers, b: Self::Integers) -> Self::Integers;

    /// Prefetches the cache line at `_address`, which may be any address.
    fn prefetch<T>(_address: *const T) {}
}

/// Converts a bf16 in little-endian bytes: it is the upper half of a float.
pub(super) fn from_bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// Plain Rust. On CPUs without fused multiply-add, such as x86-64 without AVX2, `mul_add` runs in
/// software and is slow.
impl Vector for [f32; 8] {
    const LANES: usize = 8;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises 8 floats at `from`, and the array is aligned like a float.
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const f16) -> Self {
        // SAFETY: the caller promises 8 halves at `from`, and the array is aligned like a half.
        unsafe { from.cast::<[f16; 8]>().read() }.map(f16::to_f32)
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const [u8; 2]) -> Self {
        // SAFETY: the caller promises 8 bf16 at `from`, and bytes need no alignment.
        unsafe { from.cast::<[[u8; 2]; 8]>().read() }.map(from_bf16)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises room for 8 floats at `to`, and the array is aligned like a float.
        unsafe { to.cast::<Self>().write(self) };
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| a[i].mul_add(b[i], self[i]))
    }

    type Integers = [i32; 8];

    #[inline(always)]
    unsafe fn load_integers(from: *const i32) -> [i32; 8] {
        // SAFETY: the caller promises 8 integers at `from`, and the array is aligned like an integer.
        unsafe { from.cast::<[i32; 8]>().read() }
    }

    #[inline(always)]
    unsafe fn store_integers(integers: [i32; 8], to: *mut i32) {
        // SAFETY: the caller promises room for 8 integers at `to`, and the array is aligned like an integer.
        unsafe { to.cast::<[i32; 8]>().write(integers) };
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const i8) -> [i32; 8] {
        // SAFETY: the caller promises 8 pairs at `from`, and bytes need no alignment.
        unsafe { from.cast::<[[i8; 2]; 8]>().read() }.map(|pair| join(pair.map(i16::from)))
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const i16) -> [i32; 8] {
        // SAFETY: the caller promises two integers at `from`, and the array is aligned like an integer.
        [join(unsafe { from.cast::<[i16; 2]>().read() }); 8]
    }

    #[inline(always)]
    unsafe fn add_pairs(sums: [i32; 8], a: [i32; 8], b: [i32; 8]) -> [i32; 8] {
        let low = |pair: i32| i32::from(pair as i16);
        std::array::from_fn(|i| sums[i] + low(a[i]) * low(b[i]) + (a[i] >> 16) * (b[i] >> 16))
    }
}

/// Returns a pair as one integer, the first in the lower half.
fn join([first, second]: [i16; 2]) -> i32 {
    i32::from(second) << 16 | i32::from(first as u16)
}
