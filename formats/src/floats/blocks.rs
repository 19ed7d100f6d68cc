//! ggml's blocks of quantized floats.

use super::unpack;

/// A kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// 32 codes of 4 bits.
    Q4_0,
    /// 32 codes of 4 bits, and a minimum.
    Q4_1,
    /// 32 codes of 5 bits.
    Q5_0,
    /// 32 codes of 5 bits, and a minimum.
    Q5_1,
    /// 32 codes of 8 bits.
    Q8_0,
    /// 32 codes of 4 bits that number the values of a table.
    Iq4Nl,
    /// 256 codes of 2 bits, with 16 scales and minima of 4 bits.
    Q2K,
    /// 256 codes of 3 bits, with 16 scales of 6 bits.
    Q3K,
    /// 256 codes of 4 bits, with 8 scales and minima of 6 bits.
    Q4K,
    /// 256 codes of 5 bits, with 8 scales and minima of 6 bits.
    Q5K,
    /// 256 codes of 6 bits, with 16 scales of 8 bits.
    Q6K,
    /// 256 codes of 4 bits that number the values of a table, with 8 scales of 6 bits.
    Iq4Xs,
}

/// The most elements in a block.
const LARGEST: usize = 256;

impl BlockKind {
    /// Returns the elements of a block.
    pub const fn elements(self) -> usize {
        use BlockKind::{Iq4Nl, Iq4Xs, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
        match self {
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | Iq4Nl => 32,
            Q2K | Q3K | Q4K | Q5K | Q6K | Iq4Xs => LARGEST,
        }
    }

    /// Returns the bytes of a block.
    pub const fn bytes(self) -> usize {
        match self {
            BlockKind::Q4_0 | BlockKind::Iq4Nl => 2 + 16,
            BlockKind::Q4_1 => 2 + 2 + 16,
            BlockKind::Q5_0 => 2 + 4 + 16,
            BlockKind::Q5_1 => 2 + 2 + 4 + 16,
            BlockKind::Q8_0 => 2 + 32,
            BlockKind::Q2K => 16 + 64 + 2 + 2,
            BlockKind::Q3K => 32 + 64 + 12 + 2,
            BlockKind::Q4K => 2 + 2 + 12 + 128,
            BlockKind::Q5K => 2 + 2 + 12 + 32 + 128,
            BlockKind::Q6K => 128 + 64 + 16 + 2,
            BlockKind::Iq4Xs => 2 + 2 + 4 + 128,
        }
    }

    /// Converts the elements of `blocks` from `start` on.
    ///
    /// # Panics
    /// If there are not enough elements.
    pub(super) fn read(self, blocks: &[u8], start: usize, out: &mut [f32]) {
        let (elements, bytes) = (self.elements(), self.bytes());
        let mut buffer = [0.0; LARGEST];
        let (mut at, mut out) = (start, out);
        while !out.is_empty() {
            self.decode(&blocks[at / elements * bytes..][..bytes], &mut buffer[..elements]);
            let values = &buffer[at % elements..elements];
            let count = values.len().min(out.len());
            out[..count].copy_from_slice(&values[..count]);
            (at, out) = (at + count, &mut out[count..]);
        }
    }

    fn decode(self, block: &[u8], out: &mut [f32]) {
        match self {
            BlockKind::Q4_0 => unpack::q4_0(block, out),
            BlockKind::Q4_1 => unpack::q4_1(block, out),
            BlockKind::Q5_0 => unpack::q5_0(block, out),
            BlockKind::Q5_1 => unpack::q5_1(block, out),
            BlockKind::Q8_0 => unpack::q8_0(block, out),
            BlockKind::Iq4Nl => unpack::iq4_nl(block, out),
            BlockKind::Q2K => unpack::q2_k(block, out),
            BlockKind::Q3K => unpack::q3_k(block, out),
            BlockKind::Q4K => unpack::q4_k(block, out),
            BlockKind::Q5K => unpack::q5_k(block, out),
            BlockKind::Q6K => unpack::q6_k(block, out),
            BlockKind::Iq4Xs => unpack::iq4_xs(block, out),
        }
    }
}
