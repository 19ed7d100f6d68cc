//! Hand-written kernels: the *baseline* that generated code has to beat. Not the truth.
//!
//! One straightforward kernel per vector level of x86-64, and one for AArch64, as a careful engineer writes it with
//! `std::arch`.
//!
//! # Arithmetic
//! Weights are stored as codes `w + 1`, on x86-64 the unsigned operand of the byte dot products, and
//! `Σ w·a = Σ (w + 1)·a − Σ a`, with `Σ a` computed once per token.
//!
//! # Layout
//! A tile is 16 rows × 16 inputs in 64 bytes. Dword lane = row; byte `j` of a lane holds the codes of inputs
//! `4g + j` at bits `2g`, for `g` in `0..4`. So plane `g` of a tile (its bits `2g` and `2g + 1`) meets four
//! consecutive activations, the same for every lane: a broadcast dword. Tiles go step by step along `k`, with the
//! one or four tiles of a block of rows side by side, so that a kernel reads one contiguous stream.

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

/// Inputs that one tile spans; `k` is padded to a multiple of it with zero activations.
const STEP: usize = 16;
/// Rows that one tile spans.
const TILE_ROWS: usize = 16;
/// Most rows in a block, and the granularity at which [`gemm`] may be split.
const MAX_BLOCK_ROWS: usize = 64;
/// Most tokens that one call of a kernel multiplies.
const MAX_TOKENS: usize = 6;
/// Largest `k`: the highest plane is accumulated in place, 64 times its value, so |sum| ≤ k/4 · 128 · 128 < 2³¹.
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

    /// The levels that this CPU and operating system can run, fastest first.
    pub fn available() -> Vec<Level> {
        Level::ALL.iter().copied().filter(|level| level.is_available()).collect()
    }

    /// Whether this CPU and operating system can run the level.
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

    /// Whether this CPU and operating system can run the level.
    #[cfg(target_arch = "aarch64")]
    pub fn is_available(self) -> bool {
        std::arch::is_aarch64_feature_detected!("dotprod")
    }

    /// Tiles side by side in a block of rows.
    fn tiles_abreast(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => 4,
            _ => 1,
        }
    }
}

/// 16 rows × 16 inputs of two-bit codes, one cache line.
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
    /// If `trits` is not `n × k`, a value is not a trit, or `k` is not in `1..=2¹⁸`.
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

    /// Bytes of packed weights, padding included: what one pass over the matrix reads.
    pub fn size_bytes(&self) -> usize {
        size_of_val(self.tiles.as_slice())
    }
}

/// The activations of `m` tokens, padded to whole steps and interleaved for the kernels of every level.
pub struct Activations {
    m: usize,
    k: usize,
    sums: Vec<i32>,
    /// By group of tokens, then step, plane and token: dwords of four consecutive activations.
    dwords: Vec<i32>,
}

impl Activations {
    /// Pads and interleaves `m × k` activations.
    ///
    /// # Panics
    /// If `acts` is not `m × k` or `k` is zero.
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

    /// Every group's sums, dwords and first token.
    fn groups(&self) -> impl Iterator<Item = (&[i32], &[i32], usize)> {
        let tokens = group_tokens(self.m);
        let dwords = self.dwords.chunks(tokens * self.k.next_multiple_of(STEP) / 4);
        self.sums.chunks(tokens).zip(dwords).zip((0..).step_by(tokens)).map(|((s, d), t)| (s, d, t))
    }
}

/// Tokens in every group but the last: the fewest groups that the kernels' limit allows, of about one size.
fn group_tokens(m: usize) -> usize {
    m.div_ceil(m.div_ceil(MAX_TOKENS).max(1)).max(1)
}

/// Activations `input..input + 4` of a token as a little-endian dword; zero beyond its end.
fn dword(token: &[i8], input: usize) -> i32 {
    i32::from_le_bytes([0, 1, 2, 3].map(|j| token.get(input + j).map_or(0, |a| a.cast_unsigned())))
}

/// Multiplies `rows` of `weights` by all tokens: `out[token][row − rows.start]`, `m × rows.len()`, token-major.
///
/// Threads may share a matrix by rows: `rows` starts at a multiple of 64 and ends at one, or at `n`.
///
/// # Panics
/// If the CPU cannot run the level that `weights` was packed for, or `rows`, `k` or `out.len()` do not fit.
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
            // SAFETY: `level` is available, so the CPU has every feature that its kernel enables.
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

/// A group's dwords by step, plane and token.
fn planes<const T: usize>(dwords: &[i32]) -> &[[[i32; T]; 4]] {
    dwords.as_chunks().0.as_chunks().0
}

/// Asks for the weights 8 KiB beyond `weights`: about the latency of memory at its full bandwidth.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_beyond<T>(weights: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in 0..size_of::<T>() / 64 {
        let address = std::ptr::from_ref(weights).cast::<i8>().wrapping_add(8192 + 64 * line);
        // SAFETY: a prefetch is a hint that never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
}
