//! Two bits for each ternary weight.

use super::Codec;

/// Group g has bits 2g and 2g + 1.
pub(crate) struct Bits2;

impl Codec for Bits2 {
    const NAME: &'static str = "2bit";
    const WEIGHTS: (i8, i8) = (-1, 1);
    const ZERO_POINT: i8 = 1;
    const GROUPS: usize = 4;

    #[inline(always)]
    fn encode([a, b, c, d, _]: [u32; 5]) -> u32 {
        a | b << 2 | c << 4 | d << 6
    }

    #[inline(always)]
    fn decode(byte: u8, group: usize) -> u8 {
        byte >> (2 * group) & 3
    }

    #[inline(always)]
    fn split(byte: u8) -> (u8, u8) {
        (byte & 3, byte >> 2)
    }
}
