//! Executable memory: written first, then made executable, never both.

use std::io;

use dynasmrt::cache_control;
use memmap2::{Mmap, MmapMut};

/// Published machine code.
#[derive(Debug)]
pub(crate) struct ExecutableMemory(Mmap);

impl ExecutableMemory {
    /// Copies `code` to fresh pages and makes them executable and read-only.
    ///
    /// # Errors
    /// Fails where the system has no memory left, or refuses executable mappings to this process.
    pub(crate) fn publish(code: &[u8]) -> io::Result<Self> {
        let mut pages = MmapMut::map_anon(code.len())?;
        pages[..code.len()].copy_from_slice(code);
        // AArch64 fetches instructions past the data cache. Other threads need no more: nothing was at these addresses
        // before, and they learn of the code by way of a lock.
        cache_control::synchronize_icache(&pages);
        let pages = pages.make_exec()?;
        cache_control::prepare_for_execution(&pages);
        Ok(ExecutableMemory(pages))
    }

    /// The code, where it is executed.
    pub(crate) fn code(&self) -> &[u8] {
        &self.0
    }
}

/// Whether this process may run code that it writes.
///
/// # Errors
/// The system's refusal.
pub fn probe() -> io::Result<()> {
    const NEVER_RUN: [u8; 4] = [0; 4];
    ExecutableMemory::publish(&NEVER_RUN).map(drop)
}
