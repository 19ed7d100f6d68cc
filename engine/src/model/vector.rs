//! Vectors of floats on every CPU, for code whose lanes are independent of each other: however many there are to a
//! register, every lane computes the same. A sum takes a product in unrounded, everywhere.

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use half::f16;

/// Vectors that need no instructions beyond those which this program was compiled for.
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(super) type Baseline = std::arch::aarch64::float32x4_t;
/// Vectors that need no instructions beyond those which this program was compiled for.
#[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
pub(super) type Baseline = [f32; 8];

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

    /// self + a · b, rounded once.
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

/// Plain Rust. Where the CPU has no fused multiply-add, as x86-64 without AVX2, every product is added in software, slowly.
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
        std::array::from_fn(|i| a[i].mul_add(b[i], self[i]))
    }
}
