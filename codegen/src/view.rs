//! Packed weights where they lie.

use crate::packing::{Block, Layout, PackedMatrix};

/// What a micro-kernel reads: a whole matrix, or rows that are unpacked for the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Layout of the blocks.
    pub(crate) layout: Layout,
    /// Columns: input features.
    pub(crate) k: usize,
    /// Steps along k that the blocks hold.
    pub(crate) steps: usize,
    /// By how much codes exceed weights.
    pub(crate) zero_point: i8,
    /// What f32 epilogues multiply with, beside the token's factor.
    pub(crate) scale: f32,
    /// Whole row blocks of `steps` steps.
    pub(crate) blocks: &'a [Block],
}

impl<'a> View<'a> {
    /// The block of `panel` at `step`.
    pub(crate) fn block(&self, panel: usize, step: usize) -> &'a Block {
        &self.blocks[self.layout.block_index(panel, step, self.steps)]
    }

    /// The blocks of `panels` panels from `first` on, all of one row block, step by step.
    pub(crate) fn row_block(&self, first: usize, panels: usize) -> impl Iterator<Item = &'a [Block]> {
        let interleave = self.layout.interleave;
        let (row_block, panel) = (first / interleave, first % interleave);
        let blocks = &self.blocks[row_block * self.steps * interleave..][..self.steps * interleave];
        blocks.chunks_exact(interleave).map(move |step| &step[panel..][..panels])
    }

    /// Panels that the blocks hold.
    pub(crate) fn panels(&self) -> usize {
        self.blocks.len() / self.steps
    }
}

impl<'a> From<&'a PackedMatrix> for View<'a> {
    fn from(matrix: &'a PackedMatrix) -> Self {
        View {
            layout: matrix.layout(),
            k: matrix.k(),
            steps: matrix.steps(),
            zero_point: matrix.layout().packing.zero_point(),
            scale: matrix.scale(),
            blocks: matrix.blocks(),
        }
    }
}
