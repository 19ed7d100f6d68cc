//! Packed matrices.

use super::{BLOCK_BYTES, Block, Layout, PANEL_ROWS, PackError};
use crate::blocks::Blocks;

/// A packed matrix W of n rows and k columns. It has one scale, or one for each group of columns in a row.
///
/// ```
/// use tercet_codegen::{Layout, PackedMatrix, Packing};
///
/// let layout = Layout { packing: Packing::Trits5, interleave: 1 };
/// let matrix = PackedMatrix::pack(layout, 2, 3, &[1, 0, -1, 1, 1, 1])?;
/// assert_eq!(matrix.unpack(), [1, 0, -1, 1, 1, 1]);
/// # Ok::<(), tercet_codegen::packing::PackError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    pub(super) layout: Layout,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) scale: f32,
    pub(super) group_size: Option<usize>,
    pub(super) blocks: Blocks,
}

impl PackedMatrix {
    /// Packs row-major `weights` (n × k, each in the range [`weights`](super::Packing::weights)) with scale 1.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn pack(layout: Layout, n: usize, k: usize, weights: &[i8]) -> Result<Self, PackError> {
        Self::fill(layout, n, k, |blocks| {
            if n.checked_mul(k) != Some(weights.len()) {
                return Err(PackError::Length { n, k, found: weights.len() });
            }
            let rows = weights.chunks(layout.block_rows() * k);
            let blocks = blocks.chunks_exact_mut(layout.row_block_len(k));
            let mut parts = rows.zip(blocks).enumerate();
            parts.try_for_each(|(i, (rows, blocks))| {
                layout.pack_rows(k, rows, blocks).map_err(|error| error.below(i * layout.block_rows()))
            })
        })
    }

    /// Returns the matrix with another scale.
    pub fn with_scale(self, scale: f32) -> Self {
        PackedMatrix { scale, ..self }
    }

    /// Returns the row-major weights, n × k.
    pub fn unpack(&self) -> Vec<i8> {
        (0..self.n).flat_map(|row| self.row(row)).collect()
    }

    /// Returns the k weights of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = i8> + use<'_> {
        let (packing, step) = (self.layout.packing, self.layout.packing.step());
        let (width, stride) = (self.width(), self.group_steps());
        (0..self.k).map(move |column| {
            let (group, column) = (column / width, column % width);
            let block = self.block(row / PANEL_ROWS, group * stride + column / step);
            let within = column % step;
            packing.decode(block.0[row % PANEL_ROWS * 4 + within % 4], within / 4) as i8
                - packing.zero_point()
        })
    }

    /// Returns the layout of the bytes.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the rows: output features.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Returns the columns: input features.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Returns the scale. F32 epilogues multiply with it and with the token's factor.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Returns the steps along k, or along each group.
    pub fn steps(&self) -> usize {
        self.layout.steps(self.width())
    }

    /// Returns the size of the packed form in bytes.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Returns the blocks of all row blocks.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Returns the block of `panel` at `step`.
    pub(super) fn block(&self, panel: usize, step: usize) -> &Block {
        &self.blocks[self.layout.block_index(panel, step, self.groups() * self.group_steps())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{MAX_K, Packing};

    fn layouts() -> impl Iterator<Item = Layout> {
        Packing::ALL.into_iter().flat_map(|packing| {
            Layout::INTERLEAVES.into_iter().map(move |interleave| Layout { packing, interleave })
        })
    }

    #[test]
    fn unpack_inverts_pack() {
        for layout in layouts() {
            for (n, k) in [(1, 1), (3, 17), (16, 20), (17, 16), (130, 83)] {
                let weights: Vec<i8> = (0..n * k).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
                let packed = PackedMatrix::pack(layout, n, k, &weights).unwrap();
                assert_eq!(packed.unpack(), weights, "{layout:?} {n}x{k}");
            }
        }
    }

    #[test]
    fn a_known_block() {
        // Row 0 holds -1 at k = 0 and +1 at k = 4; all else is 0, which is code 1.
        let mut weights = [0i8; 16];
        (weights[0], weights[4]) = (-1, 1);
        let layout = Layout { packing: Packing::Bits2, interleave: 1 };
        let packed = PackedMatrix::pack(layout, 1, 16, &weights).unwrap();
        assert_eq!(packed.bytes(), 64);
        assert_eq!(packed.block(0, 0).0[..5], [0b01_01_10_00, 0x55, 0x55, 0x55, 0x55]);
    }

    #[test]
    fn bad_weights_are_refused() {
        let layout = Layout { packing: Packing::Bits2, interleave: 1 };
        let pack = |n, k, w: &[i8]| PackedMatrix::pack(layout, n, k, w).unwrap_err();
        assert_eq!(
            pack(1, 3, &[0, 0, 2]),
            PackError::Weight { packing: Packing::Bits2, row: 0, column: 2, value: 2 }
        );
        assert_eq!(pack(2, 2, &[0; 3]), PackError::Length { n: 2, k: 2, found: 3 });
        assert_eq!(pack(0, 2, &[]), PackError::Shape { n: 0, k: 2 });
        assert_eq!(pack(1, MAX_K + 1, &[]), PackError::Shape { n: 1, k: MAX_K + 1 });
    }
}
