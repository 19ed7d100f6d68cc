//! AVX-512 VNNI: blocks of 64 rows in four 512-bit vectors.

use super::{MAX_BLOCK_ROWS, Tile, planes, prefetch_beyond};
use std::arch::x86_64::*;

/// Vectors in a block, each of 16 rows.
const ABREAST: usize = 4;

/// Steps per chunk: 16 KiB of weights and 6 KiB of activations. Each plane makes a pass over them.
const CHUNK_STEPS: usize = 64;

/// Computes the dot products of a block's codes with one to six tokens. `out` has a row per token.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn block(tiles: &[Tile], dwords: &[i32], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let (tiles, _) = tiles.as_chunks();
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
#[target_feature(enable = "avx512f,avx512vnni")]
fn gemv(tiles: &[[Tile; ABREAST]], acts: &[[[i32; 1]; 4]], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let mut acc = [[_mm512_setzero_si512(); ABREAST]; 4];
    for (tiles, acts) in tiles.iter().zip(acts) {
        prefetch_beyond(tiles);
        for (v, tile) in tiles.iter().enumerate() {
            let codes = load(tile);
            acc[0][v] = accumulate::<0x03>(acc[0][v], codes, acts[0][0]);
            acc[1][v] = accumulate::<0x0c>(acc[1][v], codes, acts[1][0]);
            acc[2][v] = accumulate::<0x30>(acc[2][v], codes, acts[2][0]);
            acc[3][v] = accumulate::<0xc0>(acc[3][v], codes, acts[3][0]);
        }
    }
    for v in 0..ABREAST {
        let low = _mm512_add_epi32(acc[0][v], _mm512_srai_epi32::<2>(acc[1][v]));
        let high = _mm512_add_epi32(acc[2][v], _mm512_srai_epi32::<2>(acc[3][v]));
        store(&mut out[0], v, _mm512_add_epi32(low, _mm512_srai_epi32::<4>(high)));
    }
}

/// Multiplies several tokens, chunk by chunk, so that the passes read from the first-level cache.
#[target_feature(enable = "avx512f,avx512vnni")]
fn gemm<const T: usize>(
    tiles: &[[Tile; ABREAST]],
    acts: &[[[i32; T]; 4]],
    out: &mut [[i32; MAX_BLOCK_ROWS]],
) {
    let mut acc = [[_mm512_setzero_si512(); ABREAST]; T];
    for (tiles, acts) in tiles.chunks(CHUNK_STEPS).zip(acts.chunks(CHUNK_STEPS)) {
        let sums = chunk_sums(tiles, acts);
        for t in 0..T {
            for v in 0..ABREAST {
                acc[t][v] = _mm512_add_epi32(acc[t][v], sums[t][v]);
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
#[target_feature(enable = "avx512f,avx512vnni")]
fn chunk_sums<const T: usize>(tiles: &[[Tile; ABREAST]], acts: &[[[i32; T]; 4]]) -> [[__m512i; ABREAST]; T] {
    let mut sums = [[_mm512_setzero_si512(); ABREAST]; T];
    add_plane::<3, 0xc0, T>(&mut sums, tiles, acts);
    add_plane::<2, 0x30, T>(&mut sums, tiles, acts);
    add_plane::<1, 0x0c, T>(&mut sums, tiles, acts);
    add_plane::<0, 0x03, T>(&mut sums, tiles, acts);
    sums
}

/// Divides `sums` by four and adds the sums of plane `G`, which `MASK` selects.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_plane<const G: usize, const MASK: u8, const T: usize>(
    sums: &mut [[__m512i; ABREAST]; T],
    tiles: &[[Tile; ABREAST]],
    acts: &[[[i32; T]; 4]],
) {
    for sum in sums.as_flattened_mut() {
        *sum = _mm512_srai_epi32::<2>(*sum);
    }
    for (tiles, acts) in tiles.iter().zip(acts) {
        if G == 3 {
            prefetch_beyond(tiles);
        }
        for t in 0..T {
            for v in 0..ABREAST {
                sums[t][v] = accumulate::<MASK>(sums[t][v], load(&tiles[v]), acts[G][t]);
            }
        }
    }
}

/// Adds the dot product of four masked codes and four activations to every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn accumulate<const MASK: u8>(acc: __m512i, codes: __m512i, acts: i32) -> __m512i {
    let plane = _mm512_and_si512(codes, _mm512_set1_epi8(MASK.cast_signed()));
    _mm512_dpbusd_epi32(acc, plane, _mm512_set1_epi32(acts))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(tile: &Tile) -> __m512i {
    // SAFETY: a tile is 64 bytes and aligned to 64 bytes.
    unsafe { _mm512_load_si512(tile.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut [i32; MAX_BLOCK_ROWS], v: usize, sums: __m512i) {
    let out = &mut out.as_chunks_mut::<16>().0[v];
    // SAFETY: `out` is 64 bytes, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) }
}
