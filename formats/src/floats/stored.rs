//! A floating-point tensor that stays in its file.

use std::ops::Range;

use super::{FloatKind, Floats};
use crate::Bytes;
use crate::error::Result;

/// A floating-point tensor that shares its file's bytes, so that a large tensor is mapped and not
/// copied.
#[derive(Clone, Debug)]
pub struct StoredFloats {
    bytes: Bytes,
    range: Range<usize>,
    kind: FloatKind,
}

impl StoredFloats {
    /// Returns the tensor of type `kind` at `range` of `bytes`.
    pub(crate) fn new(bytes: Bytes, range: Range<usize>, kind: FloatKind) -> Self {
        StoredFloats { bytes, range, kind }
    }

    /// Returns a tensor in memory, from little-endian bf16.
    pub fn of_bf16(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        StoredFloats { bytes: bytes.into(), range, kind: FloatKind::Bf16 }
    }

    /// Returns the elements.
    pub fn get(&self) -> Floats<'_> {
        Floats::of(self.kind, &self.bytes[self.range.clone()])
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

    /// Requires that the elements are still those of the file.
    ///
    /// # Errors
    /// Those of [`Bytes::check`].
    pub fn check(&self) -> Result<()> {
        self.bytes.check()
    }

    /// Returns the size in the file.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }
}
