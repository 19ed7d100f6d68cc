//! AVX2 without VNNI: blocks of 16 rows in two 256-bit vectors, and sums in 16 bits.
//!
//! `vpmaddubsw` multiplies bytes and adds the products in pairs to 16 bits. The pair sums of a few
//! steps still fit 16 bits. Then they are folded into 32 bits, before they can overflow.

use super::{MAX_BLOCK_ROWS, Tile, planes, prefetch_beyond};
use std::arch::x86_64::*;
use std::slice;

/// Vectors in a block, each of 8 rows.
const ABREAST: usize = 2;

/// Steps between folds.
///
/// A pair sum is at most 2 · 2 · 128 = 512 in magnitude. Each step adds four pair sums to a 16-bit
/// sum, so 15 steps reach 30 720. The limit of 16 bits is 32 767.
const FOLD_STEPS: usize = 15;

/// Computes the dot products of a block's codes with one to six tokens. `out` has a row per token.
#[target_feature(enable = "avx2")]
pub(super) fn block(tiles: &[Tile], dwords: &[i32], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    match out.len() {
        1 => gemm::<1>(tiles, planes(dwords), out),
        2 => gemm::<2>(tiles, planes(dwords), out),
        3 => gemm::<3>(tiles, planes(dwords), out),
        4 => gemm::<4>(tiles, planes(dwords), out),
        5 => gemm::<5>(tiles, planes(dwords), out),
        6 => gemm::<6>(tiles, planes(dwords), out),
        tokens => unreachable!("{tokens} tokens in a group"),
    }
}

#[target_feature(enable = "avx2")]
fn gemm<const T: usize>(tiles: &[Tile], acts: &[[[i32; T]; 4]], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let ones = _mm256_set1_epi16(1);
    let mut acc = [[_mm256_setzero_si256(); ABREAST]; T];
    for (tiles, acts) in tiles.chunks(FOLD_STEPS).zip(acts.chunks(FOLD_STEPS)) {
        let sums = short_sums(tiles, acts);
        for t in 0..T {
            for v in 0..ABREAST {
                acc[t][v] = _mm256_add_epi32(acc[t][v], _mm256_madd_epi16(sums[t][v], ones));
            }
        }
    }
    for t in 0..T {
        for v in 0..ABREAST {
            store(&mut out[t], v, acc[t][v]);
        }
    }
}

/// Returns 16-bit sums over at most [`FOLD_STEPS`] steps. A 32-bit lane's dot product is the sum of
/// its two halves.
///
/// With few tokens, each step multiplies all planes. Else the registers are too few, and each plane
/// makes a pass over the steps.
#[inline]
#[target_feature(enable = "avx2")]
fn short_sums<const T: usize>(tiles: &[Tile], acts: &[[[i32; T]; 4]]) -> [[__m256i; ABREAST]; T] {
    let mut sums = [[_mm256_setzero_si256(); ABREAST]; T];
    if T < 4 {
        for (tile, acts) in tiles.iter().zip(acts) {
            add_planes(&mut sums, slice::from_ref(tile), slice::from_ref(acts));
        }
    } else {
        add_planes(&mut sums, tiles, acts);
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_planes<const T: usize>(sums: &mut [[__m256i; ABREAST]; T], tiles: &[Tile], acts: &[[[i32; T]; 4]]) {
    add_plane::<0, 0, T>(sums, tiles, acts);
    add_plane::<1, 2, T>(sums, tiles, acts);
    add_plane::<2, 4, T>(sums, tiles, acts);
    add_plane::<3, 6, T>(sums, tiles, acts);
}

/// Adds the pair sums of plane `G`, which starts at bit `SHIFT`.
#[inline]
#[target_feature(enable = "avx2")]
fn add_plane<const G: usize, const SHIFT: i32, const T: usize>(
    sums: &mut [[__m256i; ABREAST]; T],
    tiles: &[Tile],
    acts: &[[[i32; T]; 4]],
) {
    for (tile, acts) in tiles.iter().zip(acts) {
        if G == 0 {
            prefetch_beyond(tile);
        }
        for t in 0..T {
            for v in 0..ABREAST {
                let plane = _mm256_and_si256(_mm256_srli_epi16::<SHIFT>(load(tile, v)), _mm256_set1_epi8(3));
                let products = _mm256_maddubs_epi16(plane, _mm256_set1_epi32(acts[G][t]));
                sums[t][v] = _mm256_add_epi16(sums[t][v], products);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(tile: &Tile, v: usize) -> __m256i {
    let codes = &tile.0.as_chunks::<32>().0[v];
    // SAFETY: `codes` is 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(out: &mut [i32; MAX_BLOCK_ROWS], v: usize, sums: __m256i) {
    let out = &mut out.as_chunks_mut::<8>().0[v];
    // SAFETY: `out` is 32 bytes, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) }
}
