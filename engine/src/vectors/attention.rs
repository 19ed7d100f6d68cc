//! The inner loops of attention: scores, exponentials and weighted sums of values, over one segment.
//!
//! Keys and values in half precision are summed in vectors of f32, those in f32 in double precision.

mod doubles;
mod halves;

use std::ops::Range;

/// Positions whose keys are stored together, element by element, so that their scores form one vector.
pub(crate) const BLOCK: usize = 32;

/// Positions that are gathered at once, a multiple of [`BLOCK`].
pub(crate) const SEGMENT: usize = 512;

/// The most queries whose sums fit any register file.
pub(crate) const TOGETHER: usize = 8;

/// A query and the number of positions, from the first on, that it may see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) elements: &'a [f32],
    pub(crate) visible: usize,
}

/// Keys and values of one head, in the layout that the inner loops read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeysValues<'a, E> {
    /// Block of positions × element × position in the block.
    pub(crate) keys: &'a [E],
    /// Position × element.
    pub(crate) values: &'a [E],
    /// Elements of a key or value.
    pub(crate) dim: usize,
}

impl<'a, E> KeysValues<'a, E> {
    /// Returns the keys of the [`BLOCK`] positions from `position` on, element × position.
    pub(crate) fn keys(&self, position: usize) -> &'a [E] {
        &self.keys[position * self.dim..][..BLOCK * self.dim]
    }

    /// Returns the values of `count` positions from `position` on, position × element.
    pub(crate) fn values(&self, position: usize, count: usize) -> &'a [E] {
        &self.values[position * self.dim..][..count * self.dim]
    }
}

/// The positions of a head from `first` on, up to [`SEGMENT`] of them.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a, E> {
    pub(crate) head: KeysValues<'a, E>,
    /// A multiple of [`BLOCK`].
    pub(crate) first: usize,
    /// The factor of every score.
    pub(crate) scale: f32,
}

impl<E> Segment<'_, E> {
    /// Returns the positions of this segment that a query with `visible` visible positions sees.
    fn positions(&self, visible: usize) -> Range<usize> {
        self.first..visible.clamp(self.first, self.first + SEGMENT)
    }
}
