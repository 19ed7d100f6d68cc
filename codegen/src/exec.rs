//! Executable memory: written first, then made executable, never both to the same thread.

#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
mod apple;
#[cfg(not(all(target_os = "macos", target_arch = "aarch64")))]
mod mapped;

use std::io;

#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
use apple::Pages;
#[cfg(not(all(target_os = "macos", target_arch = "aarch64")))]
use mapped::Pages;

/// Published machine code.
#[derive(Debug)]
pub(crate) struct ExecutableMemory(Pages);

impl ExecutableMemory {
    /// Copies `code` to fresh pages, which are executable and read-only from then on.
    ///
    /// # Errors
    /// Fails where the system has no memory left, or refuses executable mappings to this process.
    pub(crate) fn publish(code: &[u8]) -> io::Result<Self> {
        Pages::publish(code).map(ExecutableMemory)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_code_is_what_was_given() {
        let code: Vec<u8> = (0..10_000).map(|i| i as u8).collect();
        assert_eq!(ExecutableMemory::publish(&code).unwrap().code(), code);
    }
}
