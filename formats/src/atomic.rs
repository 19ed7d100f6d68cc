//! Files that appear complete or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes the file at `path` through `fill`, completely or not at all.
///
/// `fill` writes to a temporary file in the same directory, which is then renamed to `path`. A
/// device or pipe at `path` is written to directly.
///
/// # Errors
/// [`Error::Io`] if anything fails. The old file at `path` is then unchanged.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let outcome = if path.exists() && !path.is_file() {
        File::options().write(true).open(path).and_then(|file| fill_file(&file, fill))
    } else {
        write_and_rename(path, &temporary(path), fill)
    };
    outcome.map_err(|e| Error::io("write", path, e))
}

fn write_and_rename(
    path: &Path,
    temporary: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let file = File::options().write(true).create_new(true).open(temporary)?;
    let outcome = fill_file(&file, fill).and_then(|()| file.sync_all());
    drop(file);
    let outcome = outcome.and_then(|()| fs::rename(temporary, path));
    if outcome.is_err() {
        // Only the first failure is reported.
        let _ = fs::remove_file(temporary);
    }
    outcome
}

fn fill_file(file: &File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer)?;
    writer.flush()
}

/// Returns a name that is unique to this process and call.
fn temporary(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{call}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("tercet-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = scratch("atomic");
        let path = dir.join("file");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        let (left, names) = (fs::read(&path).unwrap(), fs::read_dir(&dir).unwrap().count());
        fs::remove_dir_all(&dir).unwrap();
        assert!(error.unwrap_err().to_string().contains("disk on fire"));
        assert_eq!((left.as_slice(), names), (&b"old"[..], 1));
    }

    #[test]
    fn an_unwritable_place_is_an_error_that_names_it() {
        let path = std::env::temp_dir().join("tercet-no-such-directory").join("file");
        let message = write_atomically(&path, |_| Ok(())).unwrap_err().to_string();
        assert!(message.starts_with("cannot write") && message.contains("tercet-no-such-directory"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_replaced() {
        write_atomically(Path::new("/dev/null"), |w| w.write_all(b"gone")).unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
