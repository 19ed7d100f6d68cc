//! A byte for each weight of seven bits.

use super::Codec;

/// The byte is the code.
pub(crate) struct Bytes;

impl Codec for Bytes {
    const NAME: &'static str = "bytes";
    const WEIGHTS: (i8, i8) = (-64, 63);
    const ZERO_POINT: i8 = 64;
    const GROUPS: usize = 1;

    #[inline(always)]
    fn encode([a, ..]: [u32; 5]) -> u32 {
        a
    }

    #[inline(always)]
    fn decode(byte: u8, _: usize) -> u8 {
        byte
    }

    #[inline(always)]
    fn split(byte: u8) -> (u8, u8) {
        (byte, 0)
    }
}
