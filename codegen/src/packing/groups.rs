//! Packed matrices with a scale for each group of columns.

use super::{BLOCK_BYTES, Block, Layout, PANEL_ROWS, PackError, PackedMatrix};

impl PackedMatrix {
    /// Packs row-major `weights` (n × k) with row-major `scales` (n × ⌈k / size⌉). Each scale is for `size` weights of a row,
    /// or for fewer at its end.
    ///
    /// # Errors
    /// See [`PackError`].
    ///
    /// # Panics
    /// If the number of scales is another.
    pub fn pack_groups(
        layout: Layout,
        (n, k): (usize, usize),
        weights: &[i8],
        size: usize,
        scales: &[f32],
    ) -> Result<Self, PackError> {
        Self::fill_groups(layout, (n, k), size, |blocks| {
            if n.checked_mul(k) != Some(weights.len()) {
                return Err(PackError::Length { n, k, found: weights.len() });
            }
            let count = k.div_ceil(size);
            assert_eq!(scales.len(), n * count, "one scale for each group");
            let steps = layout.steps(size) * layout.interleave;
            let mut columns = Vec::new();
            for (block, blocks) in blocks.chunks_exact_mut(count * (steps + layout.interleave)).enumerate() {
                let first = block * layout.block_rows();
                let rows = first..n.min(first + layout.block_rows());
                for (group, blocks) in blocks.chunks_exact_mut(steps + layout.interleave).enumerate() {
                    let (codes, scale_blocks) = blocks.split_at_mut(steps);
                    columns.clear();
                    for row in rows.clone() {
                        let row = &weights[row * k..][group * size..k.min((group + 1) * size)];
                        columns.extend_from_slice(row);
                        columns.resize(columns.len() + size - row.len(), 0);
                    }
                    layout.pack_rows(size, &columns, codes).map_err(|error| error.below(first))?;
                    let dwords = scale_blocks.iter_mut().flat_map(|block| block.0.as_chunks_mut::<4>().0);
                    for (dword, row) in dwords.zip(rows.clone()) {
                        *dword = scales[row * count + group].to_le_bytes();
                    }
                }
            }
            Ok(())
        })
    }

    /// Makes a matrix with a scale for every `size` columns of a row. `fill` writes its blocks, as in
    /// [`PackedMatrix::fill`].
    ///
    /// # Errors
    /// Fails with [`PackError::Interleave`], [`PackError::Shape`], and the errors of `fill`.
    pub fn fill_groups<E: From<PackError>>(
        layout: Layout,
        (n, k): (usize, usize),
        size: usize,
        fill: impl FnOnce(&mut [Block]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::fill_form(layout, (n, k), Some(size), fill)
    }

    /// Returns the columns of a row that share a scale; `None` if all weights share it.
    pub fn group_size(&self) -> Option<usize> {
        self.group_size
    }

    /// Writes the weights of a row times their scales to `out`, which has length k.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        out.iter_mut().zip(self.row(row)).for_each(|(out, weight)| *out = f32::from(weight));
        for (group, out) in out.chunks_mut(self.width()).enumerate() {
            let scale = match self.group_size {
                None => self.scale,
                Some(_) => self.group_scale(row, group),
            };
            out.iter_mut().for_each(|weight| *weight *= scale);
        }
    }

    fn group_scale(&self, row: usize, group: usize) -> f32 {
        let block = self.block(row / PANEL_ROWS, group * self.group_steps() + self.steps());
        f32::from_le_bytes(std::array::from_fn(|i| {
            block.0[row % PANEL_ROWS * (BLOCK_BYTES / PANEL_ROWS) + i]
        }))
    }

    /// Returns the columns of a group.
    pub(super) fn width(&self) -> usize {
        self.group_size.unwrap_or(self.k)
    }

    /// Returns the number of groups of a row.
    pub(crate) fn groups(&self) -> usize {
        self.k.div_ceil(self.width())
    }

    /// Returns the steps of blocks from one group to the next, including the step of scales.
    pub(crate) fn group_steps(&self) -> usize {
        self.steps() + usize::from(self.group_size.is_some())
    }

    /// Returns the blocks of a row block.
    pub(super) fn row_block_len(&self) -> usize {
        self.groups() * self.group_steps() * self.layout.interleave
    }
}
