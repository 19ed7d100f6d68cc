//! Pages that change from writable to executable once, by `mprotect` or `VirtualProtect`.

use std::io;
use std::ops::Deref;

use dynasmrt::cache_control;
use memmap2::{Mmap, MmapMut};

#[derive(Debug)]
pub(super) struct Pages(Mmap);

impl Pages {
    pub(super) fn publish(code: &[u8]) -> io::Result<Self> {
        let mut pages = MmapMut::map_anon(code.len())?;
        pages[..code.len()].copy_from_slice(code);
        // AArch64 does not fetch instructions from the data cache, so the caches are synchronized.
        // Other threads need no more. They have fetched nothing from these fresh addresses, and a lock
        // hands the code to them.
        cache_control::synchronize_icache(&pages);
        let pages = pages.make_exec()?;
        cache_control::prepare_for_execution(&pages);
        Ok(Pages(pages))
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
