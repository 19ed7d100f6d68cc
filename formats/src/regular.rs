//! Files that must be regular ones: a pipe or device at the name of a file is an error, and never waited for.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Opens the regular file at `path` for reading. Links are followed.
///
/// # Errors
/// Fails if there is no file, or something else than a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Opening some devices has effects, so they are recognised before, too.
    require_regular(&fs::metadata(path)?)?;
    open(path, File::options().read(true), 0)
}

/// Reads the regular file at `path`, which may have `most` bytes. Links are followed.
///
/// # Errors
/// Fails like [`open_regular`], and if the file is larger.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= most {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))),
    }
}

/// Opens a file of this program's own with `options`. Links are not followed, so nothing elsewhere is read or written.
///
/// # Errors
/// Fails like [`open_regular`], and if `path` is a symbolic link.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) => require_regular(&found)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    #[cfg(unix)]
    let unlinked = libc::O_NOFOLLOW;
    #[cfg(not(unix))]
    let unlinked = 0;
    open(path, options, unlinked)
}

/// Creates an empty file of this program's own at `path`. It replaces whatever has this name, except a directory.
///
/// # Errors
/// Fails if the system refuses.
pub fn create_own(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => File::options().read(true).write(true).create_new(true).open(path),
    }
}

/// Locks the file at `path` until the returned file is dropped, and makes it if it is missing. Asks `wait` every few
/// milliseconds while another process holds the lock, with the time waited so far.
///
/// # Errors
/// Fails like [`open_own`], and if `wait` does.
pub fn lock_own(path: &Path, mut wait: impl FnMut(Duration) -> io::Result<()>) -> io::Result<File> {
    const PAUSE: Duration = Duration::from_millis(5);
    let file = open_own(path, File::options().write(true).create(true).truncate(false))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) => wait(start.elapsed())?,
        }
        sleep(PAUSE);
    }
}

fn open(path: &Path, options: &mut OpenOptions, flags: i32) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags | libc::O_NONBLOCK);
    #[cfg(not(unix))]
    let _ = flags;
    let file = options.open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

fn require_regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("tercet-regular-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn pipe(path: &Path) {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path is a valid C string.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }

    #[test]
    fn pipes_devices_and_links_are_refused_without_a_wait() {
        let dir = scratch("refused");
        let at = |name: &str| dir.join(name);
        pipe(&at("pipe"));
        fs::write(at("file"), "precious").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        let writing = || File::options().write(true).create(true).truncate(true).to_owned();
        for name in ["pipe", "device", "link"] {
            assert!(open_own(&at(name), &mut writing()).is_err(), "{name}");
            assert!(open_own(&at(name), File::options().read(true)).is_err(), "{name}");
            assert!(lock_own(&at(name), |_| Ok(())).is_err(), "{name}");
            assert_eq!(open_regular(&at(name)).is_ok(), name == "link", "{name}");
        }
        for name in ["pipe", "device", "link"] {
            create_own(&at(name)).unwrap();
            assert!(fs::symlink_metadata(at(name)).unwrap().is_file());
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"precious");
        assert!(open_own(&at("new"), &mut writing()).is_ok() && open_regular(&dir).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_as_long_as_the_caller_likes() {
        let dir = scratch("lock");
        let held = lock_own(&dir.join("lock"), |_| Ok(())).unwrap();
        let refused = lock_own(&dir.join("lock"), |waited| match waited > Duration::from_millis(20) {
            true => Err(io::Error::from(io::ErrorKind::TimedOut)),
            false => Ok(()),
        });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(held);
        assert!(lock_own(&dir.join("lock"), |_| Ok(())).is_ok());
        fs::remove_dir_all(dir).unwrap();
    }
}
