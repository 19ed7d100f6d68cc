//! The types of a GGUF file's tensors.

use crate::{BlockKind, FloatKind};

/// The type of a tensor's elements. Most are ggml's. [`TensorType::I2S`] is bitnet.cpp's, and
/// [`TensorType::Iq1Bn`] and [`TensorType::Iq2Bn`] are ik_llama.cpp's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// Blocks of 32: an f16 scale, 32 codes of 4 bits.
    Q4_0,
    /// The same with an f16 minimum.
    Q4_1,
    /// Blocks of 32: an f16 scale, 32 codes of 5 bits.
    Q5_0,
    /// The same with an f16 minimum.
    Q5_1,
    /// Blocks of 32: an f16 scale, 32 codes of 8 bits.
    Q8_0,
    /// Blocks of 256: codes of 2 bits, 16 scales and minima of 4 bits.
    Q2K,
    /// Blocks of 256: codes of 3 bits, 16 scales of 6 bits.
    Q3K,
    /// Blocks of 256: codes of 4 bits, 8 scales and minima of 6 bits.
    Q4K,
    /// Blocks of 256: codes of 5 bits, 8 scales and minima of 6 bits.
    Q5K,
    /// Blocks of 256: codes of 6 bits with 16 scales of 8 bits.
    Q6K,
    /// Blocks of 32: an f16 scale, 32 numbers of values in a table.
    Iq4Nl,
    /// Blocks of 256: the same with 8 scales of 6 bits.
    Iq4Xs,
    /// Ternary blocks of 256 at 1.6875 bits, with an f16 scale.
    Tq1_0,
    /// Ternary blocks of 256 at 2.0625 bits, with an f16 scale.
    Tq2_0,
    /// Blocks of 64: an f16 scale, 64 codes of 2 bits.
    Q2_0,
    /// The same with blocks of 128, in PrismML's llama.cpp. Its older files call them
    /// [`TensorType::Q2_0`].
    Pq2_0,
    /// Ternary, 2 bits; one f32 scale in the last 32 bytes.
    I2S,
    /// Ternary blocks of 64 at 1.625 bits, after an f16 scale for each row.
    Iq1Bn,
    /// Ternary blocks of 64 at 2 bits, after an f32 scale for each row.
    Iq2Bn,
}

/// The properties of a type.
struct Facts {
    /// ggml's name.
    name: &'static str,
    /// ggml's number.
    code: u32,
    contents: Contents,
}

/// The meaning of a type's bytes.
#[derive(Clone, Copy)]
enum Contents {
    Floats(FloatKind),
    /// Elements and bytes of a block of trits, and the place of the scale.
    Ternary(usize, usize, Scale),
}

/// The place of a ternary type's scale.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// In each block, which lies within a row.
    Block,
    /// In so many bytes before the blocks of each row.
    Row(usize),
    /// At the start of so many bytes after all blocks. The blocks run across rows.
    Tensor(usize),
}

impl TensorType {
    /// Every type.
    pub const ALL: [TensorType; 22] = [
        TensorType::F32,
        TensorType::F16,
        TensorType::Bf16,
        TensorType::Q8_0,
        TensorType::Q6K,
        TensorType::Q5K,
        TensorType::Q5_1,
        TensorType::Q5_0,
        TensorType::Q4K,
        TensorType::Q4_1,
        TensorType::Q4_0,
        TensorType::Iq4Xs,
        TensorType::Iq4Nl,
        TensorType::Q3K,
        TensorType::Q2K,
        TensorType::I2S,
        TensorType::Tq1_0,
        TensorType::Tq2_0,
        TensorType::Q2_0,
        TensorType::Pq2_0,
        TensorType::Iq1Bn,
        TensorType::Iq2Bn,
    ];

    /// The one table of the types.
    const fn facts(self) -> Facts {
        use Contents::{Floats, Ternary};
        const fn blocks(kind: BlockKind) -> Contents {
            Floats(FloatKind::Blocks(kind))
        }
        let (name, code, contents) = match self {
            TensorType::F32 => ("F32", 0, Floats(FloatKind::F32)),
            TensorType::F16 => ("F16", 1, Floats(FloatKind::F16)),
            TensorType::Bf16 => ("BF16", 30, Floats(FloatKind::Bf16)),
            TensorType::Q4_0 => ("Q4_0", 2, blocks(BlockKind::Q4_0)),
            TensorType::Q4_1 => ("Q4_1", 3, blocks(BlockKind::Q4_1)),
            TensorType::Q5_0 => ("Q5_0", 6, blocks(BlockKind::Q5_0)),
            TensorType::Q5_1 => ("Q5_1", 7, blocks(BlockKind::Q5_1)),
            TensorType::Q8_0 => ("Q8_0", 8, blocks(BlockKind::Q8_0)),
            TensorType::Q2K => ("Q2_K", 10, blocks(BlockKind::Q2K)),
            TensorType::Q3K => ("Q3_K", 11, blocks(BlockKind::Q3K)),
            TensorType::Q4K => ("Q4_K", 12, blocks(BlockKind::Q4K)),
            TensorType::Q5K => ("Q5_K", 13, blocks(BlockKind::Q5K)),
            TensorType::Q6K => ("Q6_K", 14, blocks(BlockKind::Q6K)),
            TensorType::Iq4Nl => ("IQ4_NL", 20, blocks(BlockKind::Iq4Nl)),
            TensorType::Iq4Xs => ("IQ4_XS", 23, blocks(BlockKind::Iq4Xs)),
            TensorType::Tq1_0 => ("TQ1_0", 34, Ternary(256, 48 + 4 + 2, Scale::Block)),
            TensorType::Tq2_0 => ("TQ2_0", 35, Ternary(256, 64 + 2, Scale::Block)),
            TensorType::Q2_0 => ("Q2_0", 42, Ternary(64, 2 + 16, Scale::Block)),
            TensorType::Pq2_0 => ("PQ2_0", 142, Ternary(128, 2 + 32, Scale::Block)),
            TensorType::I2S => ("I2_S", 36, Ternary(128, 32, Scale::Tensor(32))),
            TensorType::Iq1Bn => ("IQ1_BN", 134, Ternary(64, 13, Scale::Row(2))),
            TensorType::Iq2Bn => ("IQ2_BN", 135, Ternary(64, 16, Scale::Row(4))),
        };
        Facts { name, code, contents }
    }

    /// Returns the type that ggml numbers `code`.
    pub(super) fn of_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Returns the type of floats that are stored as `floats`.
    pub(crate) fn of_floats(floats: FloatKind) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.floats() == Some(floats))
    }

    /// Returns ggml's number.
    pub(super) fn code(self) -> u32 {
        self.facts().code
    }

    /// Returns ggml's name.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Returns the stored type of the floats, unless the type is ternary.
    pub(super) fn floats(self) -> Option<FloatKind> {
        match self.facts().contents {
            Contents::Floats(kind) => Some(kind),
            Contents::Ternary(..) => None,
        }
    }

    /// Returns true if the elements are -1, 0 and 1 times a scale.
    pub fn is_ternary(self) -> bool {
        self.floats().is_none()
    }

    /// Returns elements and bytes of a block.
    pub(super) fn block(self) -> (usize, usize) {
        match self.facts().contents {
            Contents::Floats(FloatKind::F32) => (1, 4),
            Contents::Floats(FloatKind::F16 | FloatKind::Bf16) => (1, 2),
            Contents::Floats(FloatKind::Blocks(kind)) => (kind.elements(), kind.bytes()),
            Contents::Ternary(elements, bytes, _) => (elements, bytes),
        }
    }

    /// Returns the elements of a block.
    pub(crate) fn block_elements(self) -> usize {
        self.block().0
    }

    /// Returns the place of the scale. Floats have theirs in each block.
    pub(super) fn scale(self) -> Scale {
        match self.facts().contents {
            Contents::Floats(_) => Scale::Block,
            Contents::Ternary(_, _, scale) => scale,
        }
    }

    /// Returns the bytes of a tensor of `shape`, or `None` if the type cannot have this shape.
    pub(super) fn bytes(self, shape: &[usize]) -> Option<usize> {
        let (elements, bytes) = self.block();
        let product = |lengths: &[usize]| lengths.iter().try_fold(1usize, |n, length| n.checked_mul(*length));
        let (total, row) = (product(shape)?, shape.last().copied().unwrap_or(1));
        let (run, scales) = match self.scale() {
            Scale::Block => (row, 0),
            Scale::Row(bytes) => (row, bytes.checked_mul(total.checked_div(row).unwrap_or(0))?),
            Scale::Tensor(bytes) => (total, bytes),
        };
        run.is_multiple_of(elements).then_some(())?;
        (total / elements).checked_mul(bytes)?.checked_add(scales)
    }
}
