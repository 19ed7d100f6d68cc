//! Packed matrices in parts: row blocks that are packed one by one, and blocks as bytes for files.

use super::{BLOCK_BYTES, Block, Codec, Layout, MAX_K, PANEL_ROWS, PackError, PackedMatrix, with_codec};
use crate::blocks::Blocks;

impl Layout {
    /// Returns the blocks of a row block that is `k` wide. Those of row block i follow those of row block i - 1.
    pub const fn row_block_len(self, k: usize) -> usize {
        self.steps(k) * self.interleave
    }

    /// Packs the rows of one row block, or fewer, of `k` [weights](super::Packing::weights) each. Missing rows are zero.
    ///
    /// # Errors
    /// Fails with [`PackError::Weight`]. Its row counts from the first given row.
    ///
    /// # Panics
    /// If `out` does not have [`Layout::row_block_len`] blocks, or `weights` are too many or no whole rows.
    pub fn pack_rows(self, k: usize, weights: &[i8], out: &mut [Block]) -> Result<(), PackError> {
        assert_eq!(out.len(), self.row_block_len(k), "the blocks of one row block");
        assert!(
            weights.len().is_multiple_of(k) && weights.len() <= k * self.block_rows(),
            "rows of k weights"
        );
        let (packing, allowed) = (self.packing, self.packing.weights());
        if weights.iter().fold(false, |bad, weight| bad | !allowed.contains(weight)) {
            let at = weights.iter().position(|weight| !allowed.contains(weight)).unwrap_or_default();
            return Err(PackError::Weight { packing, row: at / k, column: at % k, value: weights[at] });
        }
        let width = self.steps(k) * packing.step();
        let zero = packing.zero_point();
        let mut codes = vec![zero as u8; PANEL_ROWS * width];
        for panel in 0..self.interleave {
            let rows = weights.chunks_exact(k).skip(panel * PANEL_ROWS);
            for (i, codes) in codes.chunks_exact_mut(width).enumerate() {
                match rows.clone().nth(i) {
                    Some(row) => {
                        codes.iter_mut().zip(row).for_each(|(code, weight)| *code = (weight + zero) as u8);
                    }
                    None => codes.fill(zero as u8),
                }
            }
            let blocks = out.iter_mut().skip(panel).step_by(self.interleave);
            with_codec!(packing, C => pack_panel::<C>(&codes, width, blocks));
        }
        Ok(())
    }
}

/// Packs the codes of a panel's rows, `width` each, into its blocks. There is one block for each step.
#[inline(always)]
fn pack_panel<'a, C: Codec>(codes: &[u8], width: usize, blocks: impl Iterator<Item = &'a mut Block>) {
    for (step, block) in blocks.enumerate() {
        let dwords = block.0.as_chunks_mut::<4>().0;
        for (dword, row) in dwords.iter_mut().zip(codes.chunks_exact(width)) {
            let step = row[step * 4 * C::GROUPS..][..4 * C::GROUPS].as_chunks::<4>().0;
            let mut groups = [0; 5];
            groups.iter_mut().zip(step).for_each(|(group, codes)| *group = u32::from_le_bytes(*codes));
            *dword = C::encode(groups).to_le_bytes();
        }
    }
}

impl PackedMatrix {
    /// Makes a matrix with scale 1. `fill` gets its blocks, row block after row block, as zeros and writes them.
    ///
    /// Blocks that are no packed weights give meaningless products, but do no other harm.
    ///
    /// # Errors
    /// Fails with [`PackError::Interleave`], [`PackError::Shape`], [`PackError::Memory`], and the errors of `fill`.
    pub fn fill<E: From<PackError>>(
        layout: Layout,
        n: usize,
        k: usize,
        fill: impl FnOnce(&mut [Block]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::fill_form(layout, (n, k), None, fill)
    }

    /// Does [`PackedMatrix::fill`], with a scale for each group of columns if there is a `group_size`.
    pub(super) fn fill_form<E: From<PackError>>(
        layout: Layout,
        (n, k): (usize, usize),
        group_size: Option<usize>,
        fill: impl FnOnce(&mut [Block]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut matrix = Self::zeroed(layout, (n, k), group_size)?;
        fill(&mut matrix.blocks)?;
        Ok(matrix)
    }

    /// Returns n × k matrices, one in each of `layouts`, that `fill` packs together.
    ///
    /// # Errors
    /// See [`PackedMatrix::fill`].
    pub fn fill_together<E: From<PackError>>(
        layouts: &[Layout],
        (n, k): (usize, usize),
        fill: impl FnOnce(Vec<&mut [Block]>) -> Result<(), E>,
    ) -> Result<Vec<Self>, E> {
        let matrices = layouts.iter().map(|layout| Self::zeroed(*layout, (n, k), None));
        let mut matrices: Vec<Self> = matrices.collect::<Result<_, _>>()?;
        fill(matrices.iter_mut().map(|matrix| &mut matrix.blocks[..]).collect())?;
        Ok(matrices)
    }

    fn zeroed(layout: Layout, (n, k): (usize, usize), group_size: Option<usize>) -> Result<Self, PackError> {
        if !Layout::INTERLEAVES.contains(&layout.interleave) {
            return Err(PackError::Interleave(layout.interleave));
        }
        if n == 0 || !(1..=MAX_K).contains(&k) || group_size.is_some_and(|size| !(1..=MAX_K).contains(&size))
        {
            return Err(PackError::Shape { n, k });
        }
        let mut matrix = PackedMatrix { layout, n, k, scale: 1.0, group_size, blocks: Blocks::zeroed(0) };
        let count = layout.row_blocks(n).checked_mul(matrix.row_block_len());
        let count = count.filter(|count| count.checked_mul(BLOCK_BYTES).is_some());
        let count = count.ok_or(PackError::Shape { n, k })?;
        matrix.blocks = Blocks::try_zeroed(count).ok_or(PackError::Memory { bytes: count * BLOCK_BYTES })?;
        Ok(matrix)
    }

    /// Returns the blocks as bytes, for files.
    pub fn as_bytes(&self) -> &[u8] {
        Block::bytes(&self.blocks)
    }
}

impl Block {
    /// Returns the bytes of consecutive blocks.
    pub fn bytes(blocks: &[Block]) -> &[u8] {
        // SAFETY:
        // - a block is 64 bytes without padding (`repr(C)`), so the slice is as many initialised bytes;
        // - bytes have no alignment, and stay borrowed as long as the blocks.
        unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }
    }

    /// Returns the bytes of consecutive blocks.
    pub fn bytes_mut(blocks: &mut [Block]) -> &mut [u8] {
        // SAFETY:
        // - as in `bytes`;
        // - any bytes are valid blocks, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), size_of_val(blocks)) }
    }
}
