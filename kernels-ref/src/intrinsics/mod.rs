//! Hand-written kernels: the *baseline* that generated code has to beat. They are not the truth.
//!
//! There is one straightforward kernel per vector level of x86-64, and one for AArch64. Each is
//! written with `std::arch`, as a careful engineer would do it.
//!
//! ```
//! use tercet_kernels_ref::gemm;
//! use tercet_kernels_ref::intrinsics::{self, Activations, Level, Packed};
//!
//! let (weights, acts) = ([1, 0, -1, -1, -1, 1], [5, 7, -128]);
//! for level in Level::available() {
//!     let (n, k, m) = (2, 3, 1);
//!     let mut out = vec![0; m * n];
//!     let packed = Packed::new(level, &weights, n, k);
//!     intrinsics::gemm(&packed, &Activations::new(&acts, m, k), 0..n, &mut out);
//!     assert_eq!(out, gemm::gemm(&weights, &acts, n, k, m));
//! }
//! ```
//!
//! # Arithmetic
//! Weights are stored as codes `w + 1`, because x86-64's dot products of bytes need one unsigned
//! operand. `Σ w·a = Σ (w + 1)·a − Σ a`, and `Σ a` is computed once per token.
//!
//! # Layout
//! A tile is 16 rows × 16 inputs in 64 bytes. Each 32-bit lane belongs to one row. Byte `j` of a lane
//! holds four codes: that of input `4g + j` at bits `2g` and `2g + 1`, for `g` in `0..4`. These bits
//! of all bytes are plane `g`. The four codes of a plane in a lane meet four consecutive activations,
//! which are the same for every lane. So a kernel broadcasts them.
//!
//! A block of rows is one tile or four tiles side by side. Its tiles follow each other step by step
//! along `k`, so that a kernel reads one contiguous stream.

#![allow(clippy::needless_range_loop, reason = "loops over register tiles index several arrays alike")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod neon_dot;

use std::ops::Range;

/// Inputs in a tile. Zero activations pad `k` to a multiple of it.
const STEP: usize = 16;
/// Rows in a tile.
const TILE_ROWS: usize = 16;
/// The largest number of rows in a block. [`gemm`] may be split at its multiples.
const MAX_BLOCK_ROWS: usize = 64;
/// The largest number of tokens in one call of a kernel.
const MAX_TOKENS: usize = 6;
/// The largest `k`.
///
/// The highest plane is accumulated in place, at 64 times its value. So the limit on a sum is
/// |sum| ≤ k/4 · 128 · 128 < 2³¹.
const MAX_K: usize = 1 << 18;

/// A vector instruction level that has a kernel here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512 F and VNNI: 512-bit `vpdpbusd`.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// AVX-VNNI: VEX-encoded 256-bit `vpdpbusd`.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX2: `vpmaddubsw` into 16-bit sums.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON with dotprod: `sdot`.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Level {
    /// This architecture's levels, fastest first.
    #[cfg(target_arch = "x86_64")]
    const ALL: &[Level] = &[Level::Avx512Vnni, Level::AvxVnni, Level::Avx2];
    /// This architecture's levels, fastest first.
    #[cfg(target_arch = "aarch64")]
    const ALL: &[Level] = &[Level::NeonDot];

    /// Returns the levels that this CPU and operating system can run, fastest first.
    pub fn available() -> Vec<Level> {
        Level::ALL.iter().copied().filter(|level| level.is_available()).collect()
    }

    /// Returns true if this CPU and operating system can run the level.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Level::Avx512Vnni => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
            }
            Level::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
            Level::Avx2 => is_x86_feature_detected!("avx2"),
        }
    }

    /// Returns true if this CPU and operating system can run the level.
    #[cfg(target_arch = "aarch64")]
    pub fn is_available(self) -> bool {
        std::arch::is_aarch64_feature_detected!("dotprod")
    }

    /// Returns the number of tiles side by side in a block of rows.
    fn tiles_abreast(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => 4,
            _ => 1,
        }
    }
}

/// Two-bit codes of 16 rows × 16 inputs: one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tile([u8; 64]);

/// An `n × k` ternary matrix in the tile layout of one level.
pub struct Packed {
    level: Level,
    n: usize,
    k: usize,
    tiles: Vec<Tile>,
}

impl Packed {
    /// Packs `n × k` trits for the kernel of `level`.
    ///
    /// # Panics
    /// Panics if `trits` is not `n × k`, if a value is not a trit, or if `k` is not in `1..=2¹⁸`.
    pub fn new(level: Level, trits: &[i8], n: usize, k: usize) -> Packed {
        assert!((1..=MAX_K).contains(&k), "k is in 1..=2^18");
        assert_eq!(trits.len(), n * k, "trits are n × k");
        assert!(trits.iter().all(|t| (-1..=1).contains(t)), "trits are -1, 0, 1");
        let (steps, abreast) = (k.div_ceil(STEP), level.tiles_abreast());
        let blocks = n.div_ceil(abreast * TILE_ROWS);
        let mut tiles = vec![Tile([0; 64]); blocks * steps * abreast];
        for (row, trits) in trits.chunks_exact(k).enumerate() {
            let (tile_row, lane) = (row / TILE_ROWS, row % TILE_ROWS);
            let (block, beside) = (tile_row / abreast, tile_row % abreast);
            for (input, trit) in trits.iter().enumerate() {
                let (step, plane, byte) = (input / STEP, input % STEP / 4, input % 4);
                let tile = &mut tiles[(block * steps + step) * abreast + beside];
                tile.0[4 * lane + byte] |= ((trit + 1) as u8) << (2 * plane);
            }
        }
        Packed { level, n, k, tiles }
    }

    /// Returns the size of the packed weights in bytes, padding included. One pass reads them all.
    pub fn size_bytes(&self) -> usize {
        size_of_val(self.tiles.as_slice())
    }
}

/// The activations of `m` tokens, padded to whole steps and interleaved. All levels share the layout.
pub struct Activations {
    m: usize,
    k: usize,
    sums: Vec<i32>,
    /// Dwords of four consecutive activations, by group of tokens, step, plane and token.
    dwords: Vec<i32>,
}

impl Activations {
    /// Pads and interleaves `m × k` activations.
    ///
    /// # Panics
    /// Panics if `acts` is not `m × k`, or if `k` is zero.
    pub fn new(acts: &[i8], m: usize, k: usize) -> Activations {
        assert!(k > 0, "k is not zero");
        assert_eq!(acts.len(), m * k, "activations are m × k");
        let sums = acts.chunks_exact(k).map(|token| token.iter().map(|&a| i32::from(a)).sum()).collect();
        let mut dwords = Vec::with_capacity(m * k.next_multiple_of(STEP) / 4);
        for group in acts.chunks(group_tokens(m) * k) {
            for input in (0..k.next_multiple_of(STEP)).step_by(4) {
                dwords.extend(group.chunks_exact(k).map(|token| dword(token, input)));
            }
        }
        Activations { m, k, sums, dwords }
    }

    /// Returns the sums, the dwords and the first token of every group.
    fn groups(&self) -> impl Iterator<Item = (&[i32], &[i32], usize)> {
        let tokens = group_tokens(self.m);
        let dwords = self.dwords.chunks(tokens * self.k.next_multiple_of(STEP) / 4);
        self.sums.chunks(tokens).zip(dwords).zip((0..).step_by(tokens)).map(|((s, d), t)| (s, d, t))
    }
}

/// Returns the number of tokens in every group but the last.
///
/// The kernels limit the size of a group. This makes as few groups as possible, of nearly equal size.
fn group_tokens(m: usize) -> usize {
    m.div_ceil(m.div_ceil(MAX_TOKENS).max(1)).max(1)
}

/// Returns activations `input..input + 4` of a token as a little-endian dword, padded with zeros.
fn dword(token: &[i8], input: usize) -> i32 {
    i32::from_le_bytes([0, 1, 2, 3].map(|j| token.get(input + j).map_or(0, |a| a.cast_unsigned())))
}

/// Multiplies `rows` of `weights` by all tokens.
///
/// `out` is `m × rows.len()`, token-major. The product of a token and a row goes to
/// `out[token][row − rows.start]`. Threads may share a matrix by rows: `rows` must start at a
/// multiple of 64, and must end at one or at `n`.
///
/// # Panics
/// Panics if the CPU cannot run the level of `weights`, or if `rows`, `k` or `out.len()` do not fit.
pub fn gemm(weights: &Packed, acts: &Activations, rows: Range<usize>, out: &mut [i32]) {
    let Packed { level, n, k, ref tiles } = *weights;
    assert!(level.is_available(), "the CPU lacks {level:?}");
    assert_eq!(acts.k, k, "activations are as long as weight rows");
    assert!(rows.start.is_multiple_of(MAX_BLOCK_ROWS) && rows.start <= rows.end, "rows start at a block");
    assert!(rows.end == n || rows.end < n && rows.end.is_multiple_of(MAX_BLOCK_ROWS), "rows end at a block");
    assert_eq!(out.len(), acts.m * rows.len(), "out is m × rows");

    let block_rows = level.tiles_abreast() * TILE_ROWS;
    let block_tiles = level.tiles_abreast() * k.div_ceil(STEP);
    let mut dots = [[0; MAX_BLOCK_ROWS]; MAX_TOKENS];
    for row in rows.clone().step_by(block_rows) {
        let block = &tiles[row / block_rows * block_tiles..][..block_tiles];
        let height = block_rows.min(rows.end - row);
        for (sums, dwords, first) in acts.groups() {
            let dots = &mut dots[..sums.len()];
            // SAFETY: the CPU has every feature that the kernel enables, because `level` is available.
            unsafe {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512Vnni => avx512_vnni::block(block, dwords, dots),
                    #[cfg(target_arch = "x86_64")]
                    Level::AvxVnni => avx_vnni::block(block, dwords, dots),
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => avx2::block(block, dwords, dots),
                    #[cfg(target_arch = "aarch64")]
                    Level::NeonDot => neon_dot::block(block, dwords, dots),
                }
            }
            for (t, (dots, sum)) in dots.iter().zip(sums).enumerate() {
                let out = &mut out[(first + t) * rows.len() + row - rows.start..][..height];
                out.iter_mut().zip(dots).for_each(|(out, dot)| *out = dot - sum);
            }
        }
    }
}

/// Splits the dwords of a group by step, plane and token.
fn planes<const T: usize>(dwords: &[i32]) -> &[[[i32; T]; 4]] {
    dwords.as_chunks().0.as_chunks().0
}

/// Prefetches the weights 8 KiB ahead of `weights`.
///
/// Memory at full bandwidth delivers about 8 KiB within its latency.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_beyond<T>(weights: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in 0..size_of::<T>() / 64 {
        let address = std::ptr::from_ref(weights).cast::<i8>().wrapping_add(8192 + 64 * line);
        // SAFETY: a prefetch is a hint. It never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
}
