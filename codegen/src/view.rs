//! Packed weights where they lie.

use crate::gemm::Stepped;
use crate::packing::{Block, Layout, PackedMatrix};

/// What a micro-kernel reads: a whole matrix, or rows that are unpacked for the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Layout of the blocks.
    pub(crate) layout: Layout,
    /// Columns: input features.
    pub(crate) k: usize,
    /// Groups of columns that follow each other in a row block.
    pub(crate) groups: usize,
    /// Steps along k that the blocks hold of each group.
    pub(crate) steps: usize,
    /// Whether every group is followed by a step of scales.
    pub(crate) is_grouped: bool,
    /// By how much codes exceed weights.
    pub(crate) zero_point: i8,
    /// What f32 epilogues multiply with, beside the token's factor.
    pub(crate) scale: f32,
    /// Whole row blocks.
    pub(crate) blocks: &'a [Block],
}

impl<'a> View<'a> {
    /// The block of `panel` at `step` of `group`.
    pub(crate) fn block(&self, panel: usize, group: usize, step: usize) -> &'a Block {
        let step = group * self.group_steps() + step;
        &self.blocks[self.layout.block_index(panel, step, self.row_block_steps())]
    }

    /// The blocks of `panels` panels from `first` on, all of one row block, step by step.
    pub(crate) fn row_block(&self, first: usize, panels: usize) -> impl Iterator<Item = &'a [Block]> {
        let interleave = self.layout.interleave;
        let (row_block, panel) = (first / interleave, first % interleave);
        let count = self.row_block_steps() * interleave;
        let blocks = &self.blocks[row_block * count..][..count];
        blocks.chunks_exact(interleave).map(move |step| &step[panel..][..panels])
    }

    /// The blocks of scales of `panel` and those that follow it in its row block, for each group.
    pub(crate) fn scales(&self, panel: usize) -> Stepped<'a, Block> {
        let first = self.layout.block_index(panel, self.steps, self.row_block_steps());
        Stepped { items: &self.blocks[first..], step: self.group_steps() * self.layout.interleave }
    }

    /// Panels that the blocks hold.
    pub(crate) fn panels(&self) -> usize {
        self.blocks.len() / self.row_block_steps()
    }

    /// Steps from one group to the next.
    pub(crate) fn group_steps(&self) -> usize {
        self.steps + usize::from(self.is_grouped)
    }

    /// Steps of a row block.
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
