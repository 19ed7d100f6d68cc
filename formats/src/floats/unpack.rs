//! From the bytes of a block to its floats. The `gguf` package's `quants.py` defines every kind.
//!
//! A float is a code times a scale, plus a minimum. Products of codes and scales are exact in f32, so
//! only the addition rounds.

use half::f16;

/// The minimum of a kind without minima: adding it changes no float, not even -0.
const NONE: f32 = -0.0;

/// The values that the codes of IQ4_NL and IQ4_XS number.
const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

pub(super) fn q4_0(block: &[u8], out: &mut [f32]) {
    let codes = planes::<4, 16, 32>(&block[2..]).map(|code| code as i8 - 8);
    scale(&codes, 32, |_| (half(block), NONE), out);
}

pub(super) fn q4_1(block: &[u8], out: &mut [f32]) {
    let codes = planes::<4, 16, 32>(&block[4..]).map(|code| code as i8);
    scale(&codes, 32, |_| (half(block), half(&block[2..])), out);
}

pub(super) fn q5_0(block: &[u8], out: &mut [f32]) {
    let codes = fives(&block[2..]).map(|code| code as i8 - 16);
    scale(&codes, 32, |_| (half(block), NONE), out);
}

pub(super) fn q5_1(block: &[u8], out: &mut [f32]) {
    let codes = fives(&block[4..]).map(|code| code as i8);
    scale(&codes, 32, |_| (half(block), half(&block[2..])), out);
}

pub(super) fn q8_0(block: &[u8], out: &mut [f32]) {
    let (factor, codes) = (half(block), &block[2..]);
    out.iter_mut().zip(codes).for_each(|(out, code)| *out = factor * f32::from(*code as i8));
}

pub(super) fn iq4_nl(block: &[u8], out: &mut [f32]) {
    let codes = planes::<4, 16, 32>(&block[2..]).map(|code| VALUES[usize::from(code)]);
    scale(&codes, 32, |_| (half(block), NONE), out);
}

pub(super) fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, rest) = block.split_at(16);
    let (codes, factors) = rest.split_at(64);
    let (factor, minimum) = (half(factors), half(&factors[2..]));
    let of_group = |i: usize| (factor * f32::from(scales[i] & 15), -(minimum * f32::from(scales[i] >> 4)));
    scale(&planes::<2, 32, 256>(codes).map(|code| code as i8), 16, of_group, out);
}

pub(super) fn q3_k(block: &[u8], out: &mut [f32]) {
    let (high, rest) = block.split_at(32);
    let (low, rest) = rest.split_at(64);
    let (scales, factor) = rest.split_at(12);
    let factor = half(factor);
    let scales = join(planes::<4, 8, 16>(&scales[..8]), planes::<2, 4, 16>(&scales[8..]), 4);
    let codes = join(planes::<2, 32, 256>(low), planes::<1, 32, 256>(high), 2);
    let codes = codes.map(|code| code as i8 - 4);
    scale(&codes, 16, |i| (factor * f32::from(scales[i] as i8 - 32), NONE), out);
}

pub(super) fn q4_k(block: &[u8], out: &mut [f32]) {
    let (factors, codes) = block.split_at(4 + 12);
    let scales = scales_and_minima(factors);
    scale(&planes::<4, 32, 256>(codes).map(|code| code as i8), 32, |i| scales[i], out);
}

pub(super) fn q5_k(block: &[u8], out: &mut [f32]) {
    let (factors, codes) = block.split_at(4 + 12);
    let (high, low) = codes.split_at(32);
    let scales = scales_and_minima(factors);
    let codes = join(planes::<4, 32, 256>(low), planes::<1, 32, 256>(high), 4);
    scale(&codes.map(|code| code as i8), 32, |i| scales[i], out);
}

pub(super) fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, factor) = rest.split_at(16);
    let factor = half(factor);
    let codes = join(planes::<4, 64, 256>(low), planes::<2, 32, 256>(high), 4);
    let codes = codes.map(|code| code as i8 - 32);
    scale(&codes, 16, |i| (factor * f32::from(scales[i] as i8), NONE), out);
}

pub(super) fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let (factor, rest) = block.split_at(2);
    let (high, rest) = rest.split_at(2);
    let (low, codes) = rest.split_at(4);
    let factor = half(factor);
    let scales = join(planes::<4, 1, 8>(low), planes::<2, 1, 8>(high), 4);
    let codes = planes::<4, 16, 256>(codes).map(|code| VALUES[usize::from(code)]);
    scale(&codes, 32, |i| (factor * f32::from(scales[i] as i8 - 32), NONE), out);
}

/// Writes codes times scales plus minima. `of_group` returns the scale and the minimum of each
/// `size` codes.
fn scale<const N: usize>(
    codes: &[i8; N],
    size: usize,
    of_group: impl Fn(usize) -> (f32, f32),
    out: &mut [f32],
) {
    for (i, (codes, out)) in codes.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
        let (factor, minimum) = of_group(i);
        out.iter_mut().zip(codes).for_each(|(out, code)| *out = factor * f32::from(*code) + minimum);
    }
}

/// Unpacks `N` codes of `BITS` bits. Every `WIDTH` bytes hold planes of `WIDTH` codes, the first one
/// in the lowest bits.
fn planes<const BITS: usize, const WIDTH: usize, const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut codes = [0; N];
    for (bytes, codes) in bytes.chunks_exact(WIDTH).zip(codes.chunks_exact_mut(WIDTH * 8 / BITS)) {
        for (plane, codes) in codes.chunks_exact_mut(WIDTH).enumerate() {
            let code = |byte: &u8| byte >> (BITS * plane) & ((1 << BITS) - 1);
            codes.iter_mut().zip(bytes).for_each(|(out, byte)| *out = code(byte));
        }
    }
    codes
}

/// Puts the bits of `high` above the lowest `bits` bits.
fn join<const N: usize>(low: [u8; N], high: [u8; N], bits: usize) -> [u8; N] {
    let mut codes = low;
    codes.iter_mut().zip(high).for_each(|(code, high)| *code |= high << bits);
    codes
}

/// Unpacks 32 codes of 5 bits: their high bits, then their low ones.
fn fives(bytes: &[u8]) -> [u8; 32] {
    join(planes::<4, 16, 32>(&bytes[4..]), planes::<1, 1, 32>(&bytes[..4]), 4)
}

/// Returns the eight scales and minima of Q4_K and Q5_K: two factors in half precision, then twelve
/// bytes with scales and minima of 6 bits.
///
/// The first four of each are the low bits of a byte. The others are four bits of the last bytes, and
/// the high bits of the first bytes.
fn scales_and_minima(bytes: &[u8]) -> [(f32, f32); 8] {
    let (factor, minimum, packed) = (half(bytes), half(&bytes[2..]), &bytes[4..]);
    std::array::from_fn(|i| {
        let (scale, min) = match i {
            0..4 => (packed[i] & 63, packed[i + 4] & 63),
            _ => (packed[i + 4] & 15 | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4),
        };
        (factor * f32::from(scale), -(minimum * f32::from(min)))
    })
}

/// Returns the number in half precision at the start of `bytes`.
fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}
