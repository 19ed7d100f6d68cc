//! Ternary matrices whose rows can be read one by one.

use super::{DIGITS, LINE, check_ternary};
use crate::blocks::Blocks;
use crate::packing::{BLOCK_BYTES, Block, Codec, MAX_K, PackError, Packing, trits5::Trits5};

/// A ternary matrix W of n rows and k columns with one scale, packed row by row in 1.6 bits a weight.
///
/// k is a multiple of [`LINE`](super::LINE).
///
/// ```
/// use tercet_codegen::{RowMatrix, sparse::LINE};
///
/// let mut weights = vec![0; 2 * LINE];
/// weights[LINE] = -1;
/// let matrix = RowMatrix::pack(2, LINE, &weights)?;
/// assert!(matrix.row(1).eq(weights[LINE..].iter().copied()));
/// # Ok::<(), tercet_codegen::packing::PackError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RowMatrix {
    n: usize,
    k: usize,
    scale: f32,
    /// `[row][line of columns]`, with rows of zeros up to a multiple of [`RowMatrix::GROUP`].
    blocks: Blocks,
}

impl RowMatrix {
    /// Rows are padded to a multiple of this number.
    pub(crate) const GROUP: usize = 64;

    /// Packs row-major `weights`, n × k, with scale 1.
    ///
    /// # Errors
    /// Fails if a weight is not ternary, the number of weights or the shape is wrong, or the system refuses the memory.
    pub fn pack(n: usize, k: usize, weights: &[i8]) -> Result<Self, PackError> {
        check_ternary(n, k, weights)?;
        Self::fill(n, k, |blocks| {
            weights.chunks(LINE).zip(&mut *blocks).for_each(|(weights, block)| *block = packed(weights));
            blocks[n * k / LINE..].fill(packed(&[0; LINE]));
            Ok(())
        })
    }

    /// Makes a matrix with scale 1. `fill` gets its blocks as zeros, row by row, and writes them.
    ///
    /// Blocks that are no packed weights give meaningless products, but do no other harm.
    ///
    /// # Errors
    /// Fails if
    /// - n is 0, or the packed form exceeds 4 GiB,
    /// - k is 0, no multiple of [`LINE`](super::LINE), or more than [`MAX_K`],
    /// - the system refuses the memory, or `fill` fails.
    pub fn fill<E: From<PackError>>(
        n: usize,
        k: usize,
        fill: impl FnOnce(&mut [Block]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let shape = || PackError::Shape { n, k };
        if n == 0 || !(1..=MAX_K).contains(&k) || !k.is_multiple_of(LINE) {
            return Err(shape().into());
        }
        let rows = n.checked_next_multiple_of(Self::GROUP).ok_or_else(shape)?;
        let count = rows.checked_mul(k / LINE).ok_or_else(shape)?;
        // Lists of rows have 32-bit offsets.
        let bytes = count.checked_mul(BLOCK_BYTES).filter(|bytes| u32::try_from(*bytes).is_ok());
        let bytes = bytes.ok_or_else(shape)?;
        let mut blocks = Blocks::try_zeroed(count).ok_or(PackError::Memory { bytes })?;
        fill(&mut blocks)?;
        Ok(RowMatrix { n, k, scale: 1.0, blocks })
    }

    /// Returns the matrix with another scale.
    pub fn with_scale(self, scale: f32) -> Self {
        RowMatrix { scale, ..self }
    }

    /// Returns the k weights of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = i8> + use<'_> {
        let blocks = &self.blocks[row * self.lines()..][..self.lines()];
        blocks.iter().flat_map(|block| {
            let code = |at: usize| Packing::Trits5.decode(block.0[at % BLOCK_BYTES], at / BLOCK_BYTES) as i8;
            (0..LINE).map(move |at| code(at) - Packing::Trits5.zero_point())
        })
    }

    /// Returns the rows: output features.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Returns the columns: input features.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Returns the scale of all weights.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Returns the size of the packed form in bytes.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Returns the blocks as bytes, for files.
    pub fn as_bytes(&self) -> &[u8] {
        Block::bytes(&self.blocks)
    }

    /// Returns the blocks of a row.
    pub(crate) fn lines(&self) -> usize {
        self.k / LINE
    }

    /// Returns the blocks of all rows.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

/// Packs the weights of a line: byte j has those of columns j, j + 64 and so on.
fn packed(weights: &[i8]) -> Block {
    let mut block = Block([0; BLOCK_BYTES]);
    for (four, bytes) in block.0.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let codes: [u32; DIGITS] = std::array::from_fn(|digit| {
            let weight = |i: usize| (weights[digit * BLOCK_BYTES + 4 * four + i] + 1) as u8;
            u32::from_le_bytes(std::array::from_fn(weight))
        });
        *bytes = Trits5::encode(codes).to_le_bytes();
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_packing() {
        for (n, k) in [(1, 320), (3, 640), (65, 960)] {
            let weights: Vec<i8> = (0..n * k).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
            let matrix = RowMatrix::pack(n, k, &weights).unwrap();
            for (row, expected) in weights.chunks(k).enumerate() {
                assert!(matrix.row(row).eq(expected.iter().copied()), "row {row} of {n} × {k}");
            }
            assert!(matrix.row(n).all(|weight| weight == 0), "padding");
        }
    }

    #[test]
    fn bad_weights_and_shapes_are_refused() {
        let refused = |n, k, weights: &[i8]| RowMatrix::pack(n, k, weights).unwrap_err();
        assert_eq!(refused(1, 3, &[0; 3]), PackError::Shape { n: 1, k: 3 });
        assert_eq!(refused(0, 320, &[]), PackError::Shape { n: 0, k: 320 });
        assert_eq!(refused(2, 2, &[0; 3]), PackError::Length { n: 2, k: 2, found: 3 });
        let (mut weights, packing) = (vec![0; 320], Packing::Trits5);
        weights[7] = 2;
        assert_eq!(refused(1, 320, &weights), PackError::Weight { packing, row: 0, column: 7, value: 2 });
    }
}
