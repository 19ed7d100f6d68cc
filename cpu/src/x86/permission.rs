//! The permission to use the tiles of AMX. Their 8 KiB are saved only for processes that ask for them.

use std::io;

/// The variable that turns AMX on, by 1. Its kernels were tested by emulation only, so they do not run unasked.
const WISH: &str = "TERCET_AMX";

/// Asks the system to let this process use tiles, if the user wishes to.
///
/// # Errors
/// Returns the system's error. It is [`io::ErrorKind::Unsupported`] without the wish, and on systems other than Linux.
pub(crate) fn ask_for_tiles() -> io::Result<()> {
    match std::env::var_os(WISH) {
        Some(wish) if wish == "1" => ask_system(),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(target_os = "linux")]
fn ask_system() -> io::Result<()> {
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
fn ask_system() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
