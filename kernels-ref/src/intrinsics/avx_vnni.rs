//! AVX-VNNI: blocks of 16 rows in two 256-bit vectors.

use super::{MAX_BLOCK_ROWS, Tile, planes, prefetch_beyond};
use std::arch::x86_64::*;

/// Vectors in a block, each of 8 rows.
const ABREAST: usize = 2;

/// Steps per chunk: 4 KiB of weights and 6 KiB of activations. Each plane makes a pass over them.
const CHUNK_STEPS: usize = 64;

/// Computes the dot products of a block's codes with one to six tokens. `out` has a row per token.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) fn block(tiles: &[Tile], dwords: &[i32], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    match out.len() {
        1 => gemv(tiles, planes(dwords), out),
        2 => gemm::<2>(tiles, planes(dwords), out),
        3 => gemm::<3>(tiles, planes(dwords), out),
        4 => gemm::<4>(tiles, planes(dwords), out),
        5 => gemm::<5>(tiles, planes(dwords), out),
        6 => gemm::<6>(tiles, planes(dwords), out),
        tokens => unreachable!("{tokens} tokens in a group"),
    }
}

/// Multiplies one token. Every plane has its own accumulators.
///
/// The codes of a plane stay where they are in the byte, so these accumulators are 1, 4, 16 and 64
/// times the plane's sums. Shifts after the loop divide them exactly.
#[target_feature(enable = "avx2,avxvnni")]
fn gemv(tiles: &[Tile], acts: &[[[i32; 1]; 4]], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let mut acc = [[_mm256_setzero_si256(); ABREAST]; 4];
    for (tile, acts) in tiles.iter().zip(acts) {
        prefetch_beyond(tile);
        for v in 0..ABREAST {
            let codes = load(tile, v);
            acc[0][v] = accumulate::<0x03>(acc[0][v], codes, acts[0][0]);
            acc[1][v] = accumulate::<0x0c>(acc[1][v], codes, acts[1][0]);
            acc[2][v] = accumulate::<0x30>(acc[2][v], codes, acts[2][0]);
            acc[3][v] = accumulate::<0xc0>(acc[3][v], codes, acts[3][0]);
        }
    }
    for v in 0..ABREAST {
        let low = _mm256_add_epi32(acc[0][v], _mm256_srai_epi32::<2>(acc[1][v]));
        let high = _mm256_add_epi32(acc[2][v], _mm256_srai_epi32::<2>(acc[3][v]));
        store(&mut out[0], v, _mm256_add_epi32(low, _mm256_srai_epi32::<4>(high)));
    }
}

/// Multiplies several tokens, chunk by chunk, so that the passes read from the first-level cache.
#[target_feature(enable = "avx2,avxvnni")]
fn gemm<const T: usize>(tiles: &[Tile], acts: &[[[i32; T]; 4]], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let mut acc = [[_mm256_setzero_si256(); ABREAST]; T];
    for (tiles, acts) in tiles.chunks(CHUNK_STEPS).zip(acts.chunks(CHUNK_STEPS)) {
        let sums = chunk_sums(tiles, acts);
        for t in 0..T {
            for v in 0..ABREAST {
                acc[t][v] = _mm256_add_epi32(acc[t][v], sums[t][v]);
            }
        }
    }
    for t in 0..T {
        for v in 0..ABREAST {
            store(&mut out[t], v, acc[t][v]);
        }
    }
}

/// Adds one plane at a time, the highest first, because registers for accumulators are scarce.
///
/// Between two planes the sums are divided by four, so no code is ever shifted.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn chunk_sums<const T: usize>(tiles: &[Tile], acts: &[[[i32; T]; 4]]) -> [[__m256i; ABREAST]; T] {
    let mut sums = [[_mm256_setzero_si256(); ABREAST]; T];
    add_plane::<3, 0xc0, T>(&mut sums, tiles, acts);
    add_plane::<2, 0x30, T>(&mut sums, tiles, acts);
    add_plane::<1, 0x0c, T>(&mut sums, tiles, acts);
    add_plane::<0, 0x03, T>(&mut sums, tiles, acts);
    sums
}

/// Divides `sums` by four and adds the sums of plane `G`, which `MASK` selects.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn add_plane<const G: usize, const MASK: u8, const T: usize>(
    sums: &mut [[__m256i; ABREAST]; T],
    tiles: &[Tile],
    acts: &[[[i32; T]; 4]],
) {
    for sum in sums.as_flattened_mut() {
        *sum = _mm256_srai_epi32::<2>(*sum);
    }
    for (tile, acts) in tiles.iter().zip(acts) {
        if G == 3 {
            prefetch_beyond(tile);
        }
        for t in 0..T {
            for v in 0..ABREAST {
                sums[t][v] = accumulate::<MASK>(sums[t][v], load(tile, v), acts[G][t]);
            }
        }
    }
}

/// Adds the dot product of four masked codes and four activations to every lane.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn accumulate<const MASK: u8>(acc: __m256i, codes: __m256i, acts: i32) -> __m256i {
    let plane = _mm256_and_si256(codes, _mm256_set1_epi8(MASK.cast_signed()));
    _mm256_dpbusd_avx_epi32(acc, plane, _mm256_set1_epi32(acts))
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
