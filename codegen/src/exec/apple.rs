//! Pages of the `MAP_JIT` kind on Apple silicon.
//!
//! Each thread sees such pages either writable or executable, and switches for itself. A hardened
//! process needs the entitlement `com.apple.security.cs.allow-jit`. See Apple, "Porting just-in-time
//! compilers to Apple silicon".

use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;

use dynasmrt::cache_control;

#[derive(Debug)]
pub(super) struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: nobody writes to the pages after `publish`.
unsafe impl Send for Pages {}
// SAFETY: nobody writes to the pages after `publish`.
unsafe impl Sync for Pages {}

impl Pages {
    pub(super) fn publish(code: &[u8]) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_JIT;
        // SAFETY: the mapping is fresh, and the system chooses its address.
        let start = unsafe { libc::mmap(ptr::null_mut(), code.len(), protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let pages = Pages { start, len: code.len() };
        // SAFETY:
        // - the pages are at least as long as the code, and fresh, so they do not overlap it.
        // - nobody else knows their address.
        // - this thread runs no code in MAP_JIT pages between the two switches.
        unsafe {
            libc::pthread_jit_write_protect_np(0);
            start.copy_from_nonoverlapping(NonNull::from(code).cast(), code.len());
            libc::pthread_jit_write_protect_np(1);
        }
        cache_control::synchronize_icache(&pages);
        cache_control::prepare_for_execution(&pages);
        Ok(pages)
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY:
        // - the mapping is `len` bytes long, and all of them are initialized.
        // - the mapping lives as long as `self`.
        // - nobody writes to the pages after `publish`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this value owns the whole mapping, and no borrow of it outlives the value.
        // The call cannot fail for a mapping that exists.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
