//! NEON with SDOT: blocks of 16 rows in four 128-bit vectors.
//!
//! One register holds the activations of four groups, and each `sdot` names one of its lanes.

use super::{MAX_BLOCK_ROWS, Tile, planes};
use std::arch::aarch64::*;
use std::arch::asm;
use std::array;

/// Vectors in a block, each of four rows.
const ABREAST: usize = 4;

/// Computes the dot products of a block's codes with one to six tokens. `out` has a row per token.
#[target_feature(enable = "dotprod")]
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
/// The accumulators of the lower three planes are 1, 4 and 16 times their sums. Shifts after the
/// loop divide them exactly. The highest plane is shifted down first, because `sdot` would read its
/// bytes as negative numbers.
#[target_feature(enable = "dotprod")]
fn gemv(tiles: &[Tile], acts: &[[[i32; 1]; 4]], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let mut acc = [[vdupq_n_s32(0); ABREAST]; 4];
    for (tile, acts) in tiles.iter().zip(acts) {
        let [acts] = load_acts(acts);
        for v in 0..ABREAST {
            let codes = load(tile, v);
            acc[0][v] = dot::<0>(acc[0][v], vandq_u8(codes, vdupq_n_u8(0x03)), acts);
            acc[1][v] = dot::<1>(acc[1][v], vandq_u8(codes, vdupq_n_u8(0x0c)), acts);
            acc[2][v] = dot::<2>(acc[2][v], vandq_u8(codes, vdupq_n_u8(0x30)), acts);
            acc[3][v] = dot::<3>(acc[3][v], vshrq_n_u8::<6>(codes), acts);
        }
    }
    for v in 0..ABREAST {
        let low = vsraq_n_s32::<2>(acc[0][v], acc[1][v]);
        store(&mut out[0], v, vaddq_s32(vsraq_n_s32::<4>(low, acc[2][v]), acc[3][v]));
    }
}

/// Multiplies several tokens. Each plane is shifted down and masked once for all of them.
#[target_feature(enable = "dotprod")]
fn gemm<const T: usize>(tiles: &[Tile], acts: &[[[i32; T]; 4]], out: &mut [[i32; MAX_BLOCK_ROWS]]) {
    let mut acc = [[vdupq_n_s32(0); T]; ABREAST];
    for (tile, acts) in tiles.iter().zip(acts) {
        let acts = load_acts(acts);
        // Written out, because compilers do not unroll a loop of this size. They would keep the sums
        // in memory.
        add_planes(&mut acc[0], load(tile, 0), acts);
        add_planes(&mut acc[1], load(tile, 1), acts);
        add_planes(&mut acc[2], load(tile, 2), acts);
        add_planes(&mut acc[3], load(tile, 3), acts);
    }
    for t in 0..T {
        for v in 0..ABREAST {
            store(&mut out[t], v, acc[v][t]);
        }
    }
}

/// Adds the products of the codes of four rows and every token to `sums`.
#[inline]
#[target_feature(enable = "dotprod")]
fn add_planes<const T: usize>(sums: &mut [int32x4_t; T], codes: uint8x16_t, acts: [int32x4_t; T]) {
    let mask = vdupq_n_u8(0x03);
    let planes = [
        vandq_u8(codes, mask),
        vandq_u8(vshrq_n_u8::<2>(codes), mask),
        vandq_u8(vshrq_n_u8::<4>(codes), mask),
        vshrq_n_u8::<6>(codes),
    ];
    add_dwords::<0, T>(sums, planes, acts);
    add_dwords::<1, T>(sums, planes, acts);
    add_dwords::<2, T>(sums, planes, acts);
    add_dwords::<3, T>(sums, planes, acts);
    add_dwords::<4, T>(sums, planes, acts);
    add_dwords::<5, T>(sums, planes, acts);
}

/// Adds the products with the activations in vector `I`, if there is one.
///
/// Dword `g · T + t` of the step holds the activations of plane `g` and token `t`.
#[inline]
#[target_feature(enable = "dotprod")]
fn add_dwords<const I: usize, const T: usize>(
    sums: &mut [int32x4_t; T],
    planes: [uint8x16_t; 4],
    acts: [int32x4_t; T],
) {
    let Some(&acts) = acts.get(I) else { return };
    let [a, b, c, d] = [4 * I, 4 * I + 1, 4 * I + 2, 4 * I + 3];
    sums[a % T] = dot::<0>(sums[a % T], planes[a / T], acts);
    sums[b % T] = dot::<1>(sums[b % T], planes[b / T], acts);
    sums[c % T] = dot::<2>(sums[c % T], planes[c / T], acts);
    sums[d % T] = dot::<3>(sums[d % T], planes[d / T], acts);
}

/// Adds a dot product to every lane of `acc`: its four codes times the four activations in lane
/// `LANE` of `acts`.
///
/// `vdotq_laneq_s32` will do the same, once it is stable.
#[inline]
#[target_feature(enable = "dotprod")]
fn dot<const LANE: usize>(mut acc: int32x4_t, codes: uint8x16_t, acts: int32x4_t) -> int32x4_t {
    // SAFETY:
    // - the instruction only reads and writes the three named registers.
    // - the CPU has dotprod, because the function enables it.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {codes:v}.16b, {acts:v}.4b[{lane}]",
            acc = inout(vreg) acc,
            codes = in(vreg) codes,
            acts = in(vreg) acts,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// Loads the dwords of a step, plane by plane, four to a vector.
#[inline]
#[target_feature(enable = "neon")]
fn load_acts<const T: usize>(acts: &[[i32; T]; 4]) -> [int32x4_t; T] {
    let dwords = acts.as_flattened();
    // SAFETY: there are 4 · T dwords, and vector `vector` < T holds four of them.
    array::from_fn(|vector| unsafe { vld1q_s32(dwords.as_ptr().add(4 * vector)) })
}

#[inline]
#[target_feature(enable = "neon")]
fn load(tile: &Tile, v: usize) -> uint8x16_t {
    let codes = &tile.0.as_chunks::<16>().0[v];
    // SAFETY: `codes` is 16 bytes, and the load needs no alignment.
    unsafe { vld1q_u8(codes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(out: &mut [i32; MAX_BLOCK_ROWS], v: usize, sums: int32x4_t) {
    let out = &mut out.as_chunks_mut::<4>().0[v];
    // SAFETY: `out` is 16 bytes, and the store needs no alignment.
    unsafe { vst1q_s32(out.as_mut_ptr(), sums) };
}
