//! Executable memory. Code is written first and then made executable. No thread can do both at once.

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
    /// Copies `code` to fresh pages and makes them executable and read-only.
    ///
    /// # Errors
    /// Fails if the system has no memory left, or if it refuses executable mappings to this process.
    pub(crate) fn publish(code: &[u8]) -> io::Result<Self> {
        Pages::publish(code).map(ExecutableMemory)
    }

    /// Returns the code, at the address where it runs.
    pub(crate) fn code(&self) -> &[u8] {
        &self.0
    }
}

/// Checks that this process may run code that it writes.
///
/// # Errors
/// Returns the system's error if the process may not.
pub fn probe() -> io::Result<()> {
    const NEVER_RUN: [u8; 4] = [0; 4];
    ExecutableMemory::publish(&NEVER_RUN).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_code_equals_its_source() {
        let code: Vec<u8> = (0..10_000).map(|i| i as u8).collect();
        assert_eq!(ExecutableMemory::publish(&code).unwrap().code(), code);
    }
}
