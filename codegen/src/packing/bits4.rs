//! Four bits for each weight of a coarse copy, such as that of an output head.

use super::Codec;

/// Group g has bits 4g to 4g + 3.
pub(crate) struct Bits4;

impl Codec for Bits4 {
    const NAME: &'static str = "4bit";
    const WEIGHTS: (i8, i8) = (-8, 7);
    const ZERO_POINT: i8 = 8;
    const GROUPS: usize = 2;

    #[inline(always)]
    fn encode([a, b, ..]: [u32; 5]) -> u32 {
        a | b << 4
    }

    #[inline(always)]
    fn decode(byte: u8, group: usize) -> u8 {
        byte >> (4 * group) & 15
    }

    #[inline(always)]
    fn split(byte: u8) -> (u8, u8) {
        (byte & 15, byte >> 4)
    }
}
