//! Pages of Apple silicon's `MAP_JIT` kind, which a hardened process may have too, with the entitlement
//! `com.apple.security.cs.allow-jit`: each thread by itself sees them either writable or executable (Apple, Porting
//! just-in-time compilers to Apple silicon).

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

// SAFETY: after `publish` nobody writes to the pages.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    pub(super) fn publish(code: &[u8]) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_JIT;
        // SAFETY: a fresh mapping, wherever the system likes.
        let start = unsafe { libc::mmap(ptr::null_mut(), code.len(), protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let pages = Pages { start, len: code.len() };
        // SAFETY: the pages are as long as the code, and nobody else knows them; nothing of kind MAP_JIT is executed by this
        // thread between the two switches.
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
        // SAFETY: the mapping is `len` bytes long, and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, whole. It fails for no mapping that exists.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
