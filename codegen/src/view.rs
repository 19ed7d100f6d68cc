//! Borrowed packed weights.

use crate::gemm::Stepped;
use crate::packing::{Block, Layout, PackedMatrix};

/// The weights that a micro-kernel reads: a whole matrix, or temporarily unpacked rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Layout of the blocks.
    pub(crate) layout: Layout,
    /// Columns: input features.
    pub(crate) k: usize,
    /// Groups of columns that follow each other in a row block.
    pub(crate) groups: usize,
    /// Steps along k in each group.
    pub(crate) steps: usize,
    /// Whether every group is followed by a step of scales.
    pub(crate) is_grouped: bool,
    /// The difference between a code and its weight.
    pub(crate) zero_point: i8,
    /// The matrix's scale. F32 epilogues multiply with it.
    pub(crate) scale: f32,
    /// Whole row blocks.
    pub(crate) blocks: &'a [Block],
}

impl<'a> View<'a> {
    /// Returns the block of `panel` at `step` of `group`.
    pub(crate) fn block(&self, panel: usize, group: usize, step: usize) -> &'a Block {
        let step = group * self.group_steps() + step;
        &self.blocks[self.layout.block_index(panel, step, self.row_block_steps())]
    }

    /// Returns the blocks of `panels` panels from `first` on, step by step. The panels lie in one row block.
    pub(crate) fn row_block(&self, first: usize, panels: usize) -> impl Iterator<Item = &'a [Block]> {
        let interleave = self.layout.interleave;
        let (row_block, panel) = (first / interleave, first % interleave);
        let count = self.row_block_steps() * interleave;
        let blocks = &self.blocks[row_block * count..][..count];
        blocks.chunks_exact(interleave).map(move |step| &step[panel..][..panels])
    }

    /// Returns the blocks of scales, for each group, of `panel` and of the panels after it in its row block.
    pub(crate) fn scales(&self, panel: usize) -> Stepped<'a, Block> {
        let first = self.layout.block_index(panel, self.steps, self.row_block_steps());
        Stepped { items: &self.blocks[first..], step: self.group_steps() * self.layout.interleave }
    }

    /// Returns the number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.blocks.len() / self.row_block_steps()
    }

    /// Returns the steps from one group to the next.
    pub(crate) fn group_steps(&self) -> usize {
        self.steps + usize::from(self.is_grouped)
    }

    /// Returns the steps of a row block.
    pub(crate) fn row_block_steps(&self) -> usize {
        self.groups * self.group_steps()
    }
}

impl<'a> From<&'a PackedMatrix> for View<'a> {
    fn from(matrix: &'a PackedMatrix) -> Self {
        View {
            layout: matrix.layout(),
            k: matrix.k(),
            groups: matrix.groups(),
            steps: matrix.steps(),
            is_grouped: matrix.group_size().is_some(),
            zero_point: matrix.layout().packing.zero_point(),
            scale: matrix.scale(),
            blocks: matrix.blocks(),
        }
    }
}
