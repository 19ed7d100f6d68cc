//! Ternary tensors: from bytes to trits and scales, and back.
//!
//! - TQ1_0 and TQ2_0 are ggml's. The `gguf` package's `quants.py` defines them.
//! - Q2_0 is ggml's. `dequantize_row_q2_0` defines it. Blocks have 64 weights, or 128 in PrismML's
//!   files.
//! - I2_S is bitnet.cpp's. `quantize_i2_s` on x86 defines it: blocks of 128 over the whole tensor,
//!   across rows.

use half::f16;

use super::TensorType;

/// Shifts of the four planes of 32 codes within their bytes.
const I2_S_SHIFTS: [u32; 4] = [6, 4, 2, 0];
const TQ2_0_SHIFTS: [u32; 4] = [0, 2, 4, 6];

/// Bytes after the codes of an I2_S tensor: its scale, and padding.
const I2_S_TAIL: usize = 32;

/// The parts of a TQ1_0 block: number of bytes, and trits per byte.
const TQ1_0_PARTS: [(usize, usize); 3] = [(32, 5), (16, 5), (4, 4)];

/// Returns the `count` trits of a tensor and its scales: one, or one for each block. An invalid
/// code becomes trit 2.
///
/// # Panics
/// If the size of `bytes` does not fit the type and `count`, or if the type is not ternary.
pub(super) fn decode(kind: TensorType, bytes: &[u8], count: usize) -> (Vec<i8>, Vec<f32>) {
    let mut trits = vec![0; count];
    if kind == TensorType::I2S {
        let (codes, tail) = bytes.split_at(bytes.len() - I2_S_TAIL);
        unpack_pairs(codes, I2_S_SHIFTS, &mut trits);
        let scale = f32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
        return (trits, vec![scale]);
    }
    let (elements, size) = kind.block();
    let mut scales = Vec::with_capacity(count / elements);
    for (block, trits) in bytes.chunks_exact(size).zip(trits.chunks_exact_mut(elements)) {
        let (codes, scale) = match kind {
            TensorType::Q2_0 | TensorType::Pq2_0 => (&block[2..], &block[..2]),
            _ => block.split_at(size - 2),
        };
        scales.push(f16::from_le_bytes([scale[0], scale[1]]).to_f32());
        match kind {
            TensorType::Tq2_0 => unpack_pairs(codes, TQ2_0_SHIFTS, trits),
            TensorType::Tq1_0 => unpack_fives(codes, trits),
            _ => unpack_fours(codes, trits),
        }
    }
    (trits, scales)
}

/// Returns the bytes of a tensor of `trits`. `scale` returns the scale of a block by its number, or
/// of the whole tensor for I2_S.
///
/// # Panics
/// If `trits` is not a whole number of blocks, or the type is not ternary.
pub(super) fn encode(kind: TensorType, trits: &[i8], scale: impl Fn(usize) -> f32) -> Vec<u8> {
    let (elements, _) = kind.block();
    assert!(kind.is_ternary() && trits.len().is_multiple_of(elements));
    let mut bytes = Vec::new();
    if kind == TensorType::I2S {
        pack_pairs(trits, I2_S_SHIFTS, &mut bytes);
        bytes.extend(scale(0).to_le_bytes().into_iter().cycle().take(I2_S_TAIL));
        return bytes;
    }
    for (block, trits) in trits.chunks_exact(elements).enumerate() {
        let scale = f16::from_f32(scale(block)).to_le_bytes();
        match kind {
            TensorType::Tq2_0 => pack_pairs(trits, TQ2_0_SHIFTS, &mut bytes),
            TensorType::Tq1_0 => pack_fives(trits, &mut bytes),
            _ => {
                bytes.extend(scale);
                pack_fours(trits, &mut bytes);
                continue;
            }
        }
        bytes.extend(scale);
    }
    bytes
}

/// Unpacks codes of two bits. Every 32 bytes hold four planes of 32 codes.
fn unpack_pairs(bytes: &[u8], shifts: [u32; 4], trits: &mut [i8]) {
    for (bytes, trits) in bytes.chunks_exact(32).zip(trits.chunks_exact_mut(128)) {
        for (plane, shift) in trits.chunks_exact_mut(32).zip(shifts) {
            plane.iter_mut().zip(bytes).for_each(|(trit, byte)| *trit = (byte >> shift & 3) as i8 - 1);
        }
    }
}

fn pack_pairs(trits: &[i8], shifts: [u32; 4], bytes: &mut Vec<u8>) {
    for trits in trits.chunks_exact(128) {
        let code = |i: usize, plane: usize| (trits[32 * plane + i] + 1) as u8;
        bytes.extend((0..32).map(|i| (0..4).fold(0, |byte, plane| byte | code(i, plane) << shifts[plane])));
    }
}

/// Unpacks codes of two bits. A byte holds four consecutive codes, the first in the lowest bits.
fn unpack_fours(bytes: &[u8], trits: &mut [i8]) {
    for (byte, trits) in bytes.iter().zip(trits.as_chunks_mut::<4>().0) {
        *trits = [0, 2, 4, 6].map(|shift| (byte >> shift & 3) as i8 - 1);
    }
}

fn pack_fours(trits: &[i8], bytes: &mut Vec<u8>) {
    let codes = |trits: &[i8; 4]| (0..4).fold(0, |byte, i| byte | ((trits[i] + 1) as u8) << (2 * i));
    bytes.extend(trits.as_chunks::<4>().0.iter().map(codes));
}

/// Unpacks five trits per byte.
///
/// The trits are the base-3 digits of a number v below 243, and the byte is ⌈256·v/243⌉. Read as a
/// fraction of 256, the byte times 3 carries out the first digit. What is left, modulo 256, times 3
/// carries out the next one.
///
/// Example: the digits 2 1 0 0 0 are v = 189, and the byte is 200. 200 · 3 = 600 = 2 · 256 + 88, so
/// the first digit is 2. 88 · 3 = 264 = 1 · 256 + 8, so the second is 1.
fn unpack_fives(bytes: &[u8], trits: &mut [i8]) {
    let (mut bytes, mut trits) = (bytes, trits);
    for (length, digits) in TQ1_0_PARTS {
        let (part, rest) = bytes.split_at(length);
        let (out, trits_left) = trits.split_at_mut(length * digits);
        let mut power = 1u8;
        for plane in out.chunks_exact_mut(length) {
            plane.iter_mut().zip(part).for_each(|(trit, byte)| {
                *trit = ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as i8 - 1;
            });
            power = power.wrapping_mul(3);
        }
        (bytes, trits) = (rest, trits_left);
    }
}

fn pack_fives(trits: &[i8], bytes: &mut Vec<u8>) {
    let mut trits = trits;
    for (length, digits) in TQ1_0_PARTS {
        let (part, rest) = trits.split_at(length * digits);
        bytes.extend((0..length).map(|i| {
            let digit = |plane: usize| if plane < digits { (part[length * plane + i] + 1) as u32 } else { 0 };
            let number = (0..5).fold(0, |number, plane| 3 * number + digit(plane));
            (256 * number).div_ceil(243) as u8
        }));
        trits = rest;
    }
}
