//! The permission to use the tiles of AMX. Their 8 KiB are saved only for processes that ask for them.

use std::io;

/// Asks the system to let this process use tiles.
///
/// # Errors
/// Returns the system's error. It is [`io::ErrorKind::Unsupported`] on systems other than Linux.
#[cfg(target_os = "linux")]
pub(crate) fn ask_for_tiles() -> io::Result<()> {
    // Linux, Documentation/arch/x86/xstate.rst.
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: the call takes two numbers and no address.
    match unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn ask_for_tiles() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
