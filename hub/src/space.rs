//! The room on the disk that holds the cache.

use std::path::Path;

/// Returns the bytes that the user can still write at `path`, which need not exist yet. Returns none if the system does not
/// tell.
#[cfg(unix)]
pub(super) fn free(path: &Path) -> Option<u64> {
    let place = path.ancestors().find(|place| place.exists())?;
    let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    let found = rustix::fs::statvfs(place).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Returns none: this system has another way to ask.
#[cfg(not(unix))]
pub(super) fn free(_: &Path) -> Option<u64> {
    None
}
