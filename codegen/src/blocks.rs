//! Memory for packed weights.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::packing::{BLOCK_BYTES, Block};

/// From this size on, fewer and larger pages are worth asking for: streaming is some 10 % faster with them.
const LARGE: usize = 1 << 20;

/// A fixed number of blocks; many of them lie on huge pages where the system has these.
#[derive(Debug)]
pub(crate) enum Blocks {
    Heap(Vec<Block>),
    Pages(MmapMut),
}

impl Blocks {
    /// `count` copies of `block`.
    pub(crate) fn filled(block: Block, count: usize) -> Self {
        if count * BLOCK_BYTES >= LARGE
            && let Ok(pages) = MmapMut::map_anon(count * BLOCK_BYTES)
        {
            #[cfg(target_os = "linux")]
            // Without huge pages the memory serves as well.
            let _ = pages.advise(memmap2::Advice::HugePage);
            let mut blocks = Blocks::Pages(pages);
            blocks.fill(block);
            return blocks;
        }
        Blocks::Heap(vec![block; count])
    }
}

impl Deref for Blocks {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        match self {
            Blocks::Heap(blocks) => blocks,
            // SAFETY: pages are aligned to more than 64 bytes, hold a whole number of blocks, and any bytes are a block.
            Blocks::Pages(pages) => unsafe {
                std::slice::from_raw_parts(pages.as_ptr().cast(), pages.len() / BLOCK_BYTES)
            },
        }
    }
}

impl DerefMut for Blocks {
    fn deref_mut(&mut self) -> &mut [Block] {
        match self {
            Blocks::Heap(blocks) => blocks,
            // SAFETY: as in `deref`; `pages` is borrowed exclusively.
            Blocks::Pages(pages) => unsafe {
                std::slice::from_raw_parts_mut(pages.as_mut_ptr().cast(), pages.len() / BLOCK_BYTES)
            },
        }
    }
}
