//! Pages whose protection is changed once, by `mprotect` or `VirtualProtect`.

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
        // AArch64 fetches instructions past the data cache. Other threads need no more: nothing was at these addresses
        // before, and they learn of the code by way of a lock.
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
