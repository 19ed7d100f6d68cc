//! Memory for packed weights.
//!
//! Matrices lie side by side in large aligned mappings, on huge pages where the system has these: the pages of single
//! matrices would mostly be small, and streaming from small pages is a fifth slower.

use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

use crate::packing::{BLOCK_BYTES, Block};

/// Alignment and granularity of huge pages on x86-64, and on AArch64 with pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;
/// What matrices share; only the pages that are written take memory.
const REGION_BYTES: usize = 16 * HUGE_PAGE;
/// Smaller matrices stay in a cache anyway.
const LARGE: usize = 64 << 10;

/// A fixed number of blocks.
#[derive(Debug)]
pub(crate) enum Blocks {
    Heap(Vec<Block>),
    Region(Share),
}

impl Blocks {
    /// `count` copies of `block`.
    pub(crate) fn filled(block: Block, count: usize) -> Self {
        let mut blocks = Self::zeroed(count);
        blocks.fill(block);
        blocks
    }

    /// `count` blocks of zeros.
    pub(crate) fn zeroed(count: usize) -> Self {
        let share = if count * BLOCK_BYTES < LARGE { None } else { Share::new(count) };
        share.map_or_else(|| Blocks::Heap(vec![Block([0; BLOCK_BYTES]); count]), Blocks::Region)
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

/// Blocks of a region that belong to this value alone.
#[derive(Debug)]
pub(crate) struct Share {
    region: Arc<Region>,
    blocks: Range<usize>,
}

impl Share {
    /// The next `count` blocks of the region that is being filled, or of a new one, which are zero; none if the system gives
    /// no memory.
    ///
    /// A region is given back when its last share is dropped; no block of it is used twice.
    fn new(count: usize) -> Option<Self> {
        /// The region that is being filled, and how many of its blocks are taken.
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
        // SAFETY: the range lies within the region (`new`), whose memory is readable, lives as long as `self`, and is
        // written only through the one share that holds a block.
        unsafe { std::slice::from_raw_parts(self.region.first.add(self.blocks.start), self.blocks.len()) }
    }

    fn blocks_mut(&mut self) -> &mut [Block] {
        // SAFETY: as in `blocks`; no other share holds these blocks (`new`), and `self` is borrowed exclusively.
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

// SAFETY: memory is reached only through shares, which are disjoint and each like a `&mut [Block]`.
unsafe impl Send for Region {}

// SAFETY: as for `Send`.
unsafe impl Sync for Region {}

impl Region {
    /// Room for at least `count` blocks.
    fn new(count: usize) -> Option<Self> {
        let bytes = (count * BLOCK_BYTES).next_multiple_of(HUGE_PAGE).max(REGION_BYTES);
        let mut pages = MmapMut::map_anon(bytes + HUGE_PAGE).ok()?;
        #[cfg(target_os = "linux")]
        // Without huge pages the memory serves as well.
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
            Blocks::filled(Block([i as u8; BLOCK_BYTES]), count)
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
