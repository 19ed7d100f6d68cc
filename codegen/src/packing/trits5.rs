//! Five ternary weights in a byte: 1.6 bits for each.

use super::Codec;

/// A byte f = ⌈256·v / 243⌉ holds v, a number of five ternary digits. The first digit is ⌊3·f / 256⌋, and
/// 3·f mod 256 holds the others.
pub(crate) struct Trits5;

/// ⌈256·v / 243⌉ for each v.
const STORED: [u8; 256] = {
    let (mut table, mut v) = ([0; 256], 0);
    while v < 243 {
        table[v] = (256 * v).div_ceil(243) as u8;
        v += 1;
    }
    table
};

impl Codec for Trits5 {
    const NAME: &'static str = "1.6bit";
    const WEIGHTS: (i8, i8) = (-1, 1);
    const ZERO_POINT: i8 = 1;
    const GROUPS: usize = 5;

    #[inline(always)]
    fn encode([a, b, c, d, e]: [u32; 5]) -> u32 {
        // No byte exceeds 242, so none carries into its neighbour.
        let v = 3 * (3 * (3 * (3 * a + b) + c) + d) + e;
        u32::from_le_bytes(v.to_le_bytes().map(|v| STORED[usize::from(v)]))
    }

    #[inline(always)]
    fn decode(byte: u8, group: usize) -> u8 {
        decode(byte, group)
    }

    #[inline(always)]
    fn split(byte: u8) -> (u8, u8) {
        // ⌊3·f / 256⌋ is 1 from 86 on and 2 from 171 on.
        let code = byte.saturating_sub(85).min(1) + byte.saturating_sub(170).min(1);
        (code, byte.wrapping_mul(3))
    }
}

/// [`Codec::decode`] for constants.
pub(super) const fn decode(byte: u8, group: usize) -> u8 {
    let carried_out = byte.wrapping_mul(3u8.pow(group as u32));
    ((carried_out as u16 * 3) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_trits_survive_their_byte() {
        for v in 0..243u32 {
            let digits: [u8; 5] = std::array::from_fn(|g| (v / 3u32.pow(4 - g as u32) % 3) as u8);
            let [byte, ..] = Trits5::encode(digits.map(|digit| u32::from_le_bytes([digit; 4]))).to_le_bytes();
            let back: [u8; 5] = std::array::from_fn(|g| Trits5::decode(byte, g));
            assert_eq!(back, digits, "v = {v}");
        }
    }
}
