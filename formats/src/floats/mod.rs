//! Floating-point tensors in their stored types.

mod blocks;
mod stored;
mod unpack;

use half::{bf16, f16};

pub use blocks::BlockKind;
pub use stored::StoredFloats;

/// The stored type of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatKind {
    Bf16,
    F16,
    F32,
    Blocks(BlockKind),
}

/// The little-endian bytes of a floating-point tensor, row-major and of any alignment.
///
/// # Examples
/// ```
/// use tercet_formats::Floats;
///
/// // 1.5 and -2 in bf16.
/// let floats = Floats::Bf16(&[0xC0, 0x3F, 0x00, 0xC0]);
/// assert_eq!(floats.to_vec(), [1.5, -2.0]);
/// assert_eq!(floats.slice(1, 1).get(0), -2.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Floats<'a> {
    /// Two bytes per element: the upper half of an f32.
    Bf16(&'a [u8]),
    /// Two bytes per element: IEEE 754 binary16.
    F16(&'a [u8]),
    /// Four bytes per element: IEEE 754 binary32.
    F32(&'a [u8]),
    /// Quantized in blocks.
    Blocks(BlockKind, &'a [u8]),
}

impl<'a> Floats<'a> {
    /// Returns `bytes` as floats of the type `kind`.
    pub(crate) fn of(kind: FloatKind, bytes: &'a [u8]) -> Self {
        match kind {
            FloatKind::Bf16 => Floats::Bf16(bytes),
            FloatKind::F16 => Floats::F16(bytes),
            FloatKind::F32 => Floats::F32(bytes),
            FloatKind::Blocks(kind) => Floats::Blocks(kind, bytes),
        }
    }

    /// Returns the stored type.
    pub(crate) fn kind(self) -> FloatKind {
        match self {
            Floats::Bf16(_) => FloatKind::Bf16,
            Floats::F16(_) => FloatKind::F16,
            Floats::F32(_) => FloatKind::F32,
            Floats::Blocks(kind, _) => FloatKind::Blocks(kind),
        }
    }

    /// Returns the number of elements.
    pub fn len(self) -> usize {
        match self {
            Floats::Bf16(bytes) | Floats::F16(bytes) => bytes.len() / 2,
            Floats::F32(bytes) => bytes.len() / 4,
            Floats::Blocks(kind, bytes) => bytes.len() / kind.bytes() * kind.elements(),
        }
    }

    /// Returns true if there are no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns element `i`, converted exactly.
    ///
    /// # Panics
    /// If `i` is not below [`Floats::len`].
    pub fn get(self, i: usize) -> f32 {
        let mut element = [0.0];
        self.read(i, &mut element);
        element[0]
    }

    /// Converts the `out.len()` elements from `start` on, exactly.
    ///
    /// # Panics
    /// If they are not all inside the tensor.
    pub fn read(self, start: usize, out: &mut [f32]) {
        match self {
            Floats::Bf16(bytes) => convert(bytes, start, out, |b| bf16::from_le_bytes(b).to_f32()),
            Floats::F16(bytes) => convert(bytes, start, out, |b| f16::from_le_bytes(b).to_f32()),
            Floats::F32(bytes) => convert(bytes, start, out, f32::from_le_bytes),
            Floats::Blocks(kind, bytes) => kind.read(bytes, start, out),
        }
    }

    /// Returns the `len` elements from `start` on.
    ///
    /// # Panics
    /// If they are not all inside the tensor, or not whole blocks of it.
    pub fn slice(self, start: usize, len: usize) -> Self {
        match self {
            Floats::Bf16(bytes) => Floats::Bf16(&bytes[2 * start..][..2 * len]),
            Floats::F16(bytes) => Floats::F16(&bytes[2 * start..][..2 * len]),
            Floats::F32(bytes) => Floats::F32(&bytes[4 * start..][..4 * len]),
            Floats::Blocks(kind, bytes) => {
                assert!(start.is_multiple_of(kind.elements()) && len.is_multiple_of(kind.elements()));
                let size = |elements: usize| elements / kind.elements() * kind.bytes();
                Floats::Blocks(kind, &bytes[size(start)..][..size(len)])
            }
        }
    }

    /// Returns all elements, converted exactly.
    pub fn to_vec(self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values);
        values
    }
}

fn convert<const SIZE: usize>(
    bytes: &[u8],
    start: usize,
    out: &mut [f32],
    to_f32: impl Fn([u8; SIZE]) -> f32,
) {
    let (elements, _) = bytes.as_chunks::<SIZE>();
    let elements = &elements[start..][..out.len()];
    for (value, element) in out.iter_mut().zip(elements) {
        *value = to_f32(*element);
    }
}
