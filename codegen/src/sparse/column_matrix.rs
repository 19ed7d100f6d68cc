//! Ternary matrices whose columns can be read one by one.

use super::{DIGITS, STRIP_ROWS, check_ternary, row_of_byte};
use crate::blocks::Blocks;
use crate::packing::{BLOCK_BYTES, Block, Codec, MAX_K, PackError, Packing, trits5::Trits5};

/// A ternary matrix W of n rows and k columns with one scale, packed column by column in 1.6 bits a weight.
///
/// ```
/// use tercet_codegen::ColumnMatrix;
///
/// let matrix = ColumnMatrix::pack(2, 3, &[1, 0, -1, 1, 1, 1])?;
/// assert!(matrix.row(0).eq([1, 0, -1]));
/// # Ok::<(), tercet_codegen::packing::PackError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ColumnMatrix {
    n: usize,
    k: usize,
    scale: f32,
    /// `[strip][column]`.
    blocks: Blocks,
}

impl ColumnMatrix {
    /// Packs row-major `weights`, n × k, with scale 1.
    ///
    /// # Errors
    /// Fails if a weight is not ternary, the number of weights or the shape is wrong, or the system refuses the memory.
    pub fn pack(n: usize, k: usize, weights: &[i8]) -> Result<Self, PackError> {
        check_ternary(n, k, weights)?;
        Self::fill(n, k, |blocks| {
            let strips = weights.chunks(STRIP_ROWS * k).zip(blocks.chunks_exact_mut(k));
            strips.for_each(|(rows, blocks)| pack_strip(k, rows, blocks));
            Ok(())
        })
    }

    /// Makes a matrix with scale 1. `fill` gets its blocks as zeros, strip by strip, and writes them.
    ///
    /// Blocks that are no packed weights give meaningless products, but do no other harm.
    ///
    /// # Errors
    /// Fails if n or k is 0 or k is more than [`MAX_K`], if the system refuses the memory, and with the errors of `fill`.
    pub fn fill<E: From<PackError>>(
        n: usize,
        k: usize,
        fill: impl FnOnce(&mut [Block]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let shape = || PackError::Shape { n, k };
        if n == 0 || !(1..=MAX_K).contains(&k) {
            return Err(shape().into());
        }
        let count = n.div_ceil(STRIP_ROWS).checked_mul(k).ok_or_else(shape)?;
        let bytes = count.checked_mul(BLOCK_BYTES).ok_or_else(shape)?;
        let mut blocks = Blocks::try_zeroed(count).ok_or(PackError::Memory { bytes })?;
        fill(&mut blocks)?;
        Ok(ColumnMatrix { n, k, scale: 1.0, blocks })
    }

    /// Returns the matrix with another scale.
    pub fn with_scale(self, scale: f32) -> Self {
        ColumnMatrix { scale, ..self }
    }

    /// Returns the k weights of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = i8> + use<'_> {
        let (digit, within) = (row % STRIP_ROWS / BLOCK_BYTES, row % BLOCK_BYTES);
        let byte = (0..BLOCK_BYTES).position(|byte| row_of_byte(byte) == within).unwrap_or_default();
        let code = move |block: &Block| Packing::Trits5.decode(block.0[byte], digit) as i8;
        self.strip(row / STRIP_ROWS).iter().map(move |block| code(block) - Packing::Trits5.zero_point())
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

    /// Returns the number of strips.
    pub fn strips(&self) -> usize {
        self.n.div_ceil(STRIP_ROWS)
    }

    /// Returns the size of the packed form in bytes.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Returns the blocks as bytes, for files.
    pub fn as_bytes(&self) -> &[u8] {
        Block::bytes(&self.blocks)
    }

    /// Returns the k blocks of a strip.
    pub(crate) fn strip(&self, strip: usize) -> &[Block] {
        &self.blocks[strip * self.k..][..self.k]
    }
}

/// Packs the rows of a strip, `k` ternary weights each, into a block for each column. Missing rows are zero.
fn pack_strip(k: usize, rows: &[i8], blocks: &mut [Block]) {
    const COLUMNS: usize = 64;
    // A tile of packed bytes, row by row: writing whole columns of a matrix would miss the cache.
    let mut tile = [[0u8; COLUMNS]; BLOCK_BYTES];
    for (first, blocks) in (0..k).step_by(COLUMNS).zip(blocks.chunks_mut(COLUMNS)) {
        for (byte, packed) in tile.iter_mut().enumerate() {
            let row = |digit: usize| {
                rows.get((digit * BLOCK_BYTES + row_of_byte(byte)) * k + first..).unwrap_or_default()
            };
            let digits: [&[i8]; DIGITS] = std::array::from_fn(row);
            for (four, packed) in packed[..blocks.len()].chunks_mut(4).enumerate() {
                let codes = digits.map(|weights| codes(weights, 4 * four, packed.len()));
                packed.copy_from_slice(&Trits5::encode(codes).to_le_bytes()[..packed.len()]);
            }
        }
        for (column, block) in blocks.iter_mut().enumerate() {
            block.0.iter_mut().zip(&tile).for_each(|(byte, packed)| *byte = packed[column]);
        }
    }
}

/// Returns the codes of up to four weights of a row from `first` on, as the bytes of a dword. A missing row is zero.
#[inline(always)]
fn codes(row: &[i8], first: usize, count: usize) -> u32 {
    const ZEROS: u32 = 0x0101_0101;
    match row.get(first..first + count) {
        // No code carries into the next byte: -1 + 1 is 0, and the sum is at most 2.
        Some([a, b, c, d]) => u32::from_le_bytes([a, b, c, d].map(|weight| (weight + 1) as u8)),
        Some(few) => few.iter().rev().fold(0, |codes, weight| codes << 8 | u32::from((weight + 1) as u8)),
        None => ZEROS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_packing() {
        for (n, k) in [(1, 1), (3, 17), (64, 4), (320, 64), (321, 65), (700, 130)] {
            let weights: Vec<i8> = (0..n * k).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
            let matrix = ColumnMatrix::pack(n, k, &weights).unwrap();
            for (row, expected) in weights.chunks(k).enumerate() {
                assert!(matrix.row(row).eq(expected.iter().copied()), "row {row} of {n} × {k}");
            }
        }
    }

    #[test]
    fn rows_beyond_the_last_are_zero() {
        let matrix = ColumnMatrix::pack(1, 5, &[1; 5]).unwrap();
        assert!((1..STRIP_ROWS).all(|row| matrix.row(row).all(|weight| weight == 0)));
    }

    #[test]
    fn bad_weights_and_shapes_are_refused() {
        let refused = |n, k, weights: &[i8]| ColumnMatrix::pack(n, k, weights).unwrap_err();
        let packing = Packing::Trits5;
        assert_eq!(refused(1, 3, &[0, 0, 2]), PackError::Weight { packing, row: 0, column: 2, value: 2 });
        assert_eq!(refused(2, 2, &[0; 3]), PackError::Length { n: 2, k: 2, found: 3 });
        assert_eq!(refused(0, 2, &[]), PackError::Shape { n: 0, k: 2 });
        assert_eq!(refused(1, MAX_K + 1, &vec![0; MAX_K + 1]), PackError::Shape { n: 1, k: MAX_K + 1 });
    }
}
