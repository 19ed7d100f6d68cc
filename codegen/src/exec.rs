//! Executable memory: written first, then made executable, never both.

use std::io;

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
        pages.make_exec().map(ExecutableMemory)
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
    const RET: u8 = 0xC3;
    ExecutableMemory::publish(&[RET]).map(drop)
}
