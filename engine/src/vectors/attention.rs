//! The inner loops of attention: scores, exponentials and weighted sums of values, over one segment.
//!
//! Keys and values in half precision are summed in vectors of f32, those in f32 in double precision, those in bytes as
//! integers.

mod bytes;
mod doubles;
mod elements;
mod halves;
mod stored;
mod together;

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
pub(crate) use elements::Elements;
pub(crate) use stored::Stored;

/// Positions whose keys are stored together, element by element, so that their scores form one vector.
pub(crate) const BLOCK: usize = 32;

/// Positions of a page, a multiple of [`BLOCK`].
pub(crate) const PAGE: usize = 128;

/// Positions that are gathered at once, a multiple of [`BLOCK`].
pub(crate) const SEGMENT: usize = 512;

/// The most queries whose sums fit any register file.
pub(crate) const TOGETHER: usize = 8;

/// A query and the positions that it may see: those from `hidden` on, before `visible`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) elements: &'a [f32],
    pub(crate) hidden: usize,
    pub(crate) visible: usize,
}

/// The elements of [`PAGE`] positions. Sequences with a common prefix share its pages.
pub(crate) type Page<E> = Arc<Elements<E>>;

/// Keys and values of one head, in the layout that the inner loops read.
///
/// In a page, the head's keys are in blocks of positions. Its values follow. [`Stored`] has the order of their elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeysValues<'a, E> {
    pub(crate) pages: &'a [Page<E>],
    /// The first element of the head in each page.
    pub(crate) start: usize,
    /// Elements of a key or value.
    pub(crate) dim: usize,
}

impl<'a, E: Pod> KeysValues<'a, E> {
    /// Returns the keys of the [`BLOCK`] positions from `position` on. A block begins there.
    #[inline(always)]
    pub(crate) fn keys(&self, position: usize) -> &'a [E] {
        &self.pages[position / PAGE][self.start + position % PAGE * self.dim..][..BLOCK * self.dim]
    }

    /// Returns the values of `count` positions of a block from its first `position` on.
    #[inline(always)]
    pub(crate) fn values(&self, position: usize, count: usize) -> &'a [E] {
        let start = self.start + (PAGE + position % PAGE) * self.dim;
        &self.pages[position / PAGE][start..][..count * self.dim]
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
    /// Returns the positions that `query` sees, counted from the beginning of this segment.
    fn seen(&self, query: &Query<'_>) -> Range<usize> {
        let end = self.positions(query.visible).len();
        (query.hidden.clamp(self.first, self.first + SEGMENT) - self.first).min(end)..end
    }

    /// Returns the positions of this segment that a query with `visible` visible positions sees.
    fn positions(&self, visible: usize) -> Range<usize> {
        self.first..visible.clamp(self.first, self.first + SEGMENT)
    }
}
