//! Ternary tensors: from bytes to trits and scales, and back.
//!
//! - TQ1_0 and TQ2_0 are ggml's. The `gguf` package's `quants.py` defines them.
//! - Q2_0 is ggml's. `dequantize_row_q2_0` defines it. Blocks have 64 weights, or 128 in PrismML's
//!   files.
//! - I2_S is bitnet.cpp's. `quantize_i2_s` defines it, in several [orders](Order). Usually it has blocks
//!   of 128 over the whole tensor, across rows.
//! - IQ1_BN and IQ2_BN are ik_llama.cpp's. `IQ1BNQuantizer` in its `iqk_quantize.cpp` defines them.

use half::f16;

use super::TensorType;
use super::order::{Order, SHIFTS};
use super::types::Scale;

/// Shifts of the four planes of codes within their bytes.
const TQ2_0_SHIFTS: [u32; 4] = [0, 2, 4, 6];

/// Codes in a plane.
const PLANE: usize = 32;
const IQ2_BN_PLANE: usize = 16;

/// Bytes after the codes of an I2_S tensor: its scale, and padding.
const I2_S_TAIL: usize = 32;

/// The parts of a TQ1_0 block: number of bytes, and trits per byte.
const TQ1_0_PARTS: [(usize, usize); 3] = [(32, 5), (16, 5), (4, 4)];

/// Returns the trits of an n × k matrix, and its scales: one, one for each row, or one for each block.
/// An invalid code becomes trit 2. `order` is that of I2_S.
///
/// # Panics
/// If the size of `bytes` does not fit the type and shape, or if the type is not ternary.
pub(super) fn decode(
    kind: TensorType,
    bytes: &[u8],
    (n, k): (usize, usize),
    order: Order,
) -> (Vec<i8>, Vec<f32>) {
    let mut trits = vec![0; n * k];
    let (elements, size) = kind.block();
    let scales = match kind.scale() {
        Scale::Tensor(tail) => {
            let (codes, tail) = bytes.split_at(bytes.len() - tail);
            order.unpack(codes, k, &mut trits);
            vec![single(tail)]
        }
        Scale::Row(head) => {
            let rows = bytes.chunks_exact((head + k / elements * size).max(1));
            let scale_of = |(row, trits): (&[u8], &mut [i8])| {
                let (scale, codes) = row.split_at(head);
                match kind {
                    TensorType::Iq1Bn => unpack_sixteens(codes, trits),
                    _ => unpack_pairs(codes, IQ2_BN_PLANE, TQ2_0_SHIFTS, trits),
                }
                if head == 2 { half(scale) } else { single(scale) }
            };
            rows.zip(trits.chunks_exact_mut(k.max(1))).map(scale_of).collect()
        }
        Scale::Block => {
            let blocks = bytes.chunks_exact(size).zip(trits.chunks_exact_mut(elements));
            blocks.map(|(block, trits)| unpack_block(kind, block, trits)).collect()
        }
    };
    (trits, scales)
}

/// Unpacks a block that has its own scale, and returns the scale.
fn unpack_block(kind: TensorType, block: &[u8], trits: &mut [i8]) -> f32 {
    let (codes, scale) = match kind {
        TensorType::Q2_0 | TensorType::Pq2_0 => (&block[2..], &block[..2]),
        _ => block.split_at(block.len() - 2),
    };
    match kind {
        TensorType::Tq2_0 => unpack_pairs(codes, PLANE, TQ2_0_SHIFTS, trits),
        TensorType::Tq1_0 => unpack_fives(codes, trits),
        _ => unpack_fours(codes, trits),
    }
    half(scale)
}

fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

fn single(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Returns the bytes of a tensor of `trits`. `scale` returns the scale of a block by its number, or
/// of the whole tensor for I2_S.
///
/// # Panics
/// If `trits` is not a whole number of blocks, or if Tercet does not write the type.
pub(super) fn encode(kind: TensorType, trits: &[i8], scale: impl Fn(usize) -> f32) -> Vec<u8> {
    let (elements, _) = kind.block();
    let is_written = kind.is_ternary() && !matches!(kind.scale(), Scale::Row(_));
    assert!(is_written && trits.len().is_multiple_of(elements));
    let mut bytes = Vec::new();
    if kind == TensorType::I2S {
        pack_pairs(trits, SHIFTS, &mut bytes);
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

/// Unpacks codes of two bits. Every `plane` bytes hold four planes of `plane` codes.
pub(super) fn unpack_pairs(bytes: &[u8], plane: usize, shifts: [u32; 4], trits: &mut [i8]) {
    for (bytes, trits) in bytes.chunks_exact(plane).zip(trits.chunks_exact_mut(4 * plane)) {
        for (plane, shift) in trits.chunks_exact_mut(plane).zip(shifts) {
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

/// Unpacks TQ1_0: five trits per byte, the first one in the highest digit.
fn unpack_fives(bytes: &[u8], trits: &mut [i8]) {
    let (mut bytes, mut trits) = (bytes, trits);
    for (length, digits) in TQ1_0_PARTS {
        let (part, rest) = bytes.split_at(length);
        let (out, trits_left) = trits.split_at_mut(length * digits);
        for (plane, power) in out.chunks_exact_mut(length).zip(POWERS) {
            plane.iter_mut().zip(part).for_each(|(trit, byte)| *trit = digit(*byte, power));
        }
        (bytes, trits) = (rest, trits_left);
    }
}

/// Unpacks IQ1_BN: five trits per byte, the first one in the lowest digit.
///
/// A block has four times 16 trits. Each time, three bytes hold 15 of them. The block's last byte
/// holds the four that are left.
fn unpack_sixteens(bytes: &[u8], trits: &mut [i8]) {
    for (block, trits) in bytes.as_chunks::<13>().0.iter().zip(trits.as_chunks_mut::<64>().0) {
        let (fives, lasts) = block.split_at(12);
        let lowest_first = || POWERS.into_iter().rev();
        for ((fives, last_power), trits) in
            fives.as_chunks::<3>().0.iter().zip(lowest_first()).zip(trits.as_chunks_mut::<16>().0)
        {
            let (most, last) = trits.split_at_mut(15);
            for (byte, trits) in fives.iter().zip(most.as_chunks_mut::<5>().0) {
                trits.iter_mut().zip(lowest_first()).for_each(|(trit, power)| *trit = digit(*byte, power));
            }
            last[0] = digit(lasts[0], last_power);
        }
    }
}

/// The factors that make each of five digits the first one.
const POWERS: [u8; 5] = [1, 3, 9, 27, 81];

/// Returns the trit of a digit in a byte of five digits.
///
/// The trits are the base-3 digits of a number v below 243, and the byte is ⌈256·v/243⌉. Read as a
/// fraction of 256, the byte times 3 carries out the first digit. What is left, modulo 256, times 3
/// carries out the next one.
///
/// Example: the digits 2 1 0 0 0 are v = 189, and the byte is 200. 200 · 3 = 600 = 2 · 256 + 88, so
/// the first digit is 2. 88 · 3 = 264 = 1 · 256 + 8, so the second is 1.
fn digit(byte: u8, power: u8) -> i8 {
    ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as i8 - 1
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
