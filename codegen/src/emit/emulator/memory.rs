//! The memory of the process, at computed addresses. [`Program::run`](super::Program::run) states who vouches for them.

/// Reads `N` bytes.
pub(super) fn read<const N: usize>(address: u64) -> [u8; N] {
    // SAFETY: the caller of `Program::run` vouches for every address that the code reads.
    unsafe { (address as *const [u8; N]).read_unaligned() }
}

/// Writes `bytes`.
pub(super) fn write(address: u64, bytes: &[u8]) {
    // SAFETY: the caller of `Program::run` vouches for every address that the code writes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) }
}
