//! Memory for packed weights.
//!
//! Matrices lie side by side in large aligned mappings, on huge pages if the system has them. A mapping for each matrix
//! would mostly have small pages, and streaming from small pages is a fifth slower.

use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

use crate::packing::{BLOCK_BYTES, Block};

/// Alignment and granularity of huge pages on x86-64, and on AArch64 with pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;
/// Size of a region that matrices share. Only written pages take memory.
const REGION_BYTES: usize = 16 * HUGE_PAGE;
/// Smaller matrices stay in a cache, and take ordinary memory.
const LARGE: usize = 64 << 10;

/// A fixed number of blocks.
#[derive(Debug)]
pub(crate) enum Blocks {
    Heap(Vec<Block>),
    Region(Share),
}

impl Blocks {
    /// Returns `count` copies of `block`, or none if the system refuses the memory.
    pub(crate) fn filled(block: Block, count: usize) -> Option<Self> {
        let mut blocks = Self::try_zeroed(count)?;
        blocks.fill(block);
        Some(blocks)
    }

    /// Returns `count` blocks of zeros.
    ///
    /// # Panics
    /// If the system refuses the memory.
    pub(crate) fn zeroed(count: usize) -> Self {
        Self::try_zeroed(count).expect("memory for packed weights")
    }

    /// Returns `count` blocks of zeros, or none if the system refuses the memory.
    pub(crate) fn try_zeroed(count: usize) -> Option<Self> {
        let share = if count * BLOCK_BYTES < LARGE { None } else { Share::new(count) };
        if let Some(share) = share {
            return Some(Blocks::Region(share));
        }
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).ok()?;
        blocks.resize(count, Block([0; BLOCK_BYTES]));
        Some(Blocks::Heap(blocks))
    }
}

impl Clone for Blocks {
    fn clone(&self) -> Self {
        let mut blocks = Self::zeroed(self.len());
        blocks.copy_from_slice(self);
        blocks
    }
}

impl Deref for Blocks {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        match self {
            Blocks::Heap(blocks) => blocks,
            Blocks::Region(share) => share.blocks(),
        }
    }
}

impl DerefMut for Blocks {
    fn deref_mut(&mut self) -> &mut [Block] {
        match self {
            Blocks::Heap(blocks) => blocks,
            Blocks::Region(share) => share.blocks_mut(),
        }
    }
}

/// Blocks of a region that only this value owns.
#[derive(Debug)]
pub(crate) struct Share {
    region: Arc<Region>,
    blocks: Range<usize>,
}

impl Share {
    /// Returns the next `count` blocks of the current region, or of a new one. They are zero. Returns `None` if the system
    /// has no memory.
    ///
    /// Dropping the last share returns a region to the system. No block is used twice.
    fn new(count: usize) -> Option<Self> {
        /// The current region, and the number of its blocks that are taken.
        static CURRENT: Mutex<(Weak<Region>, usize)> = Mutex::new((Weak::new(), 0));
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, taken) = &mut *current;
        if let Some(region) = region.upgrade().filter(|region| region.count - *taken >= count) {
            let blocks = *taken..*taken + count;
            *taken = blocks.end;
            return Some(Share { region, blocks });
        }
        let fresh = Arc::new(Region::new(count)?);
        *current = (Arc::downgrade(&fresh), count);
        Some(Share { region: fresh, blocks: 0..count })
    }

    fn blocks(&self) -> &[Block] {
        // SAFETY:
        // - the range lies within the region (`new`), whose memory is readable and lives as long as `self`;
        // - only the one share that holds a block writes to it.
        unsafe { std::slice::from_raw_parts(self.region.first.add(self.blocks.start), self.blocks.len()) }
    }

    fn blocks_mut(&mut self) -> &mut [Block] {
        // SAFETY:
        // - as in `blocks`;
        // - no other share holds these blocks (`new`), and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.region.first.add(self.blocks.start), self.blocks.len()) }
    }
}

/// A mapping that is aligned to huge pages.
#[derive(Debug)]
struct Region {
    first: *mut Block,
    count: usize,
    /// Keeps the mapping alive.
    _pages: MmapMut,
}

// SAFETY: only shares reach the memory. They are disjoint, and each is like a `&mut [Block]`.
unsafe impl Send for Region {}

// SAFETY: as for `Send`.
unsafe impl Sync for Region {}

impl Region {
    /// Maps room for at least `count` blocks.
    fn new(count: usize) -> Option<Self> {
        let bytes = (count * BLOCK_BYTES).next_multiple_of(HUGE_PAGE).max(REGION_BYTES);
        let mut pages = MmapMut::map_anon(bytes + HUGE_PAGE).ok()?;
        #[cfg(target_os = "linux")]
        // The memory can be used without huge pages.
        let _ = pages.advise(memmap2::Advice::HugePage);
        let skipped = pages.as_ptr().align_offset(HUGE_PAGE);
        let first = pages.as_mut()[skipped..][..bytes].as_mut_ptr().cast();
        Some(Region { first, count: bytes / BLOCK_BYTES, _pages: pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_aligned_and_keep_their_contents() {
        let counts = [1, LARGE / BLOCK_BYTES, 3000, REGION_BYTES / BLOCK_BYTES - 5000, 4000, 1 << 20];
        let filled = |(i, &count): (usize, &usize)| {
            let zeroed = Blocks::zeroed(count);
            assert!(zeroed.iter().all(|block| block.0 == [0; BLOCK_BYTES]));
            Blocks::filled(Block([i as u8; BLOCK_BYTES]), count).unwrap()
        };
        let mut all: Vec<Blocks> = counts.iter().enumerate().map(filled).collect();
        all.remove(2);
        all[2][0] = Block([77; BLOCK_BYTES]);
        for (blocks, i) in all.iter().zip([0, 1, 3, 4, 5]) {
            assert_eq!(blocks.len(), counts[i]);
            assert!(blocks.as_ptr().is_aligned());
            assert!(blocks[1.min(counts[i] - 1)..].iter().all(|block| block.0 == [i as u8; BLOCK_BYTES]));
        }
        assert_eq!(all[2][0].0, [77; BLOCK_BYTES]);
    }
}
