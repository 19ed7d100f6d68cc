//! A floating-point tensor that stays in its file.

use std::ops::Range;

use super::{BlockKind, Floats};
use crate::Bytes;

/// A floating-point tensor that shares its file's bytes, so that a large tensor is mapped and not
/// copied.
#[derive(Clone, Debug)]
pub struct StoredFloats {
    bytes: Bytes,
    range: Range<usize>,
    view: for<'a> fn(&'a [u8]) -> Floats<'a>,
}

impl StoredFloats {
    /// Returns the tensor `floats`, which lies at `range` of `bytes`.
    pub(crate) fn new(bytes: Bytes, range: Range<usize>, floats: Floats<'_>) -> Self {
        let view: for<'a> fn(&'a [u8]) -> Floats<'a> = match floats {
            Floats::Bf16(_) => |bytes| Floats::Bf16(bytes),
            Floats::F16(_) => |bytes| Floats::F16(bytes),
            Floats::F32(_) => |bytes| Floats::F32(bytes),
            Floats::Blocks(BlockKind::Q4_0, _) => |bytes| Floats::Blocks(BlockKind::Q4_0, bytes),
            Floats::Blocks(BlockKind::Q8_0, _) => |bytes| Floats::Blocks(BlockKind::Q8_0, bytes),
            Floats::Blocks(BlockKind::Q6K, _) => |bytes| Floats::Blocks(BlockKind::Q6K, bytes),
        };
        StoredFloats { bytes, range, view }
    }

    /// Returns a tensor in memory, from little-endian bf16.
    pub fn of_bf16(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        StoredFloats { bytes: bytes.into(), range, view: |bytes| Floats::Bf16(bytes) }
    }

    /// Returns the elements.
    pub fn get(&self) -> Floats<'_> {
        (self.view)(&self.bytes[self.range.clone()])
    }

    /// Takes the elements' pages out of memory until they are read again, if they are mapped from a
    /// file.
    pub fn release(&self) {
        self.bytes.release(self.range.clone());
    }

    /// Does the same for the `len` elements from `start` on.
    pub fn release_slice(&self, start: usize, len: usize) {
        let byte = |element: usize| self.range.start + element * self.range.len() / self.get().len().max(1);
        self.bytes.release(byte(start)..byte(start + len));
    }

    /// Returns the size in the file.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }
}
