//! Where the blocks of a packed matrix lie.

use super::{BLOCK_BYTES, PANEL_ROWS, Packing};

/// A packing and the number of panels in a row block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    /// Packing of the codes.
    pub packing: Packing,
    /// Panels in a row block: one of [`Layout::INTERLEAVES`].
    pub interleave: usize,
}

impl Layout {
    /// The row-block sizes, in panels, that kernels are written for.
    pub const INTERLEAVES: [usize; 4] = [1, 2, 4, 8];

    /// Returns the rows in a row block.
    pub const fn block_rows(self) -> usize {
        self.interleave * PANEL_ROWS
    }

    /// Returns the steps that cover `k`.
    pub const fn steps(self, k: usize) -> usize {
        k.div_ceil(self.packing.step())
    }

    /// Returns the row blocks that cover `n` rows.
    pub const fn row_blocks(self, n: usize) -> usize {
        n.div_ceil(self.block_rows())
    }

    /// Returns the bytes of a packed n × k matrix.
    pub const fn bytes(self, n: usize, k: usize) -> usize {
        self.row_blocks(n) * self.steps(k) * self.interleave * BLOCK_BYTES
    }

    /// Returns the index of the block of `panel` (of the whole matrix) at `step`.
    pub(crate) const fn block_index(self, panel: usize, step: usize, steps: usize) -> usize {
        (panel / self.interleave * steps + step) * self.interleave + panel % self.interleave
    }
}
