//! ggml's blocks of quantized floats. The `gguf` package's `quants.py` defines them. Every product
//! is exact in f32.

use half::f16;

/// A kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// 32 codes of 4 bits.
    Q4_0,
    /// 32 codes of 8 bits.
    Q8_0,
    /// 256 codes of 6 bits with 16 scales of 8 bits.
    Q6K,
}

/// The most elements in a block.
const LARGEST: usize = 256;

impl BlockKind {
    /// Returns the elements of a block.
    pub const fn elements(self) -> usize {
        match self {
            BlockKind::Q4_0 | BlockKind::Q8_0 => 32,
            BlockKind::Q6K => LARGEST,
        }
    }

    /// Returns the bytes of a block.
    pub const fn bytes(self) -> usize {
        match self {
            BlockKind::Q4_0 => 2 + 16,
            BlockKind::Q8_0 => 2 + 32,
            BlockKind::Q6K => 128 + 64 + 16 + 2,
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
            BlockKind::Q4_0 => {
                let (scale, codes) = block.split_at(2);
                let scale = half(scale);
                let (low, high) = out.split_at_mut(16);
                for ((low, high), code) in low.iter_mut().zip(high).zip(codes) {
                    *low = scale * f32::from((code & 15) as i8 - 8);
                    *high = scale * f32::from((code >> 4) as i8 - 8);
                }
            }
            BlockKind::Q8_0 => {
                let (scale, codes) = block.split_at(2);
                let scale = half(scale);
                out.iter_mut().zip(codes).for_each(|(out, code)| *out = scale * f32::from(*code as i8));
            }
            BlockKind::Q6K => {
                let (low, rest) = block.split_at(128);
                let (high, rest) = rest.split_at(64);
                let (scales, scale) = rest.split_at(16);
                let scale = half(scale);
                for (i, out) in out.iter_mut().enumerate() {
                    // Each half of the block is two planes of 64 low parts over four of 32 high
                    // ones.
                    let (part, within) = (i / 128, i % 128);
                    let low = low[64 * part + within % 64] >> (4 * (within / 64)) & 15;
                    let high = high[32 * part + within % 32] >> (2 * (within / 32)) & 3;
                    let code = (low | high << 4) as i8 - 32;
                    *out = scale * f32::from(scales[i / 16] as i8) * f32::from(code);
                }
            }
        }
    }
}

fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}
