//! Bytes of a file: mapped, embedded or in memory.

mod fault;

use std::fs::{File, Metadata};
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::regular::{open_regular, read_regular};
use fault::Watch;

/// The bytes of a file: mapped, part of the program, or in memory. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Bytes(Source);

#[derive(Clone, Debug)]
enum Source {
    Mapped(Arc<Mapped>),
    Embedded(&'static [u8]),
    Owned(Arc<[u8]>),
}

/// A mapped file. The watch ends before the map does, because fields are dropped in this order.
#[derive(Debug)]
struct Mapped {
    watch: Watch,
    map: Mmap,
    file: File,
    path: PathBuf,
    written: Written,
}

/// Size and last change of a file's contents.
type Written = (u64, Option<SystemTime>);

fn written(metadata: &Metadata) -> Written {
    (metadata.len(), metadata.modified().ok())
}

impl Bytes {
    /// Maps the regular file at `path` read-only.
    ///
    /// If the file is truncated or overwritten in place while it is mapped, readers may find zeros or other bytes, and
    /// [`Bytes::check`] fails. Renaming another file over it is fine: this is how downloaders and Tercet replace files.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or mapped, or if it is not a regular file.
    pub fn map(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("map", path, e);
        let file = open_regular(path).map_err(|e| Error::io("read", path, e))?;
        let written = written(&file.metadata().map_err(failed)?);
        // SAFETY:
        // - The mapping is read-only and private to this value, so nobody in this process writes to
        //   it.
        // - It is unmapped when the last clone is dropped, so no borrow outlives it.
        // - Another process could change the file in place. Then reads yield other bytes, or zeros from `fault`.
        //   All bytes are valid, every reader checks what it reads, and `check` tells that they are not the file's.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        // SAFETY: the map starts at a page, is never written to, and is dropped after the watch.
        let Some(watch) = (unsafe { Watch::over(&map) }) else { return Self::read(path) };
        Ok(Bytes(Source::Mapped(Arc::new(Mapped { watch, map, file, path: path.to_owned(), written }))))
    }

    /// Requires that the bytes are still those of the file, if they are mapped. Whoever has read them asks this before
    /// relying on a result.
    ///
    /// # Errors
    /// [`Error::Io`] if the file was changed since it was mapped, or if a part of it could not be read.
    pub fn check(&self) -> Result<()> {
        let Source::Mapped(mapped) = &self.0 else { return Ok(()) };
        let Mapped { watch, file, path, written: before, .. } = &**mapped;
        let now = file.metadata().map_err(|e| Error::io("read", path, e))?;
        if watch.is_broken() || written(&now) != *before {
            let problem =
                "it was changed while in use; load it again (a new version is renamed over the old one)";
            return Err(Error::io("go on reading", path, io::Error::other(problem)));
        }
        Ok(())
    }

    /// Returns true unless the path of a mapped file leads to another file by now.
    pub fn is_current(&self) -> bool {
        let Source::Mapped(mapped) = &self.0 else { return true };
        let here = mapped.file.metadata().ok().map(|metadata| identity(&metadata));
        here.is_some() && here == mapped.path.metadata().ok().map(|metadata| identity(&metadata))
    }

    /// Takes the pages of `range` out of this process's memory, if they are mapped. The next reader
    /// gets them from the system's cache or from disk again.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Source::Mapped(mapped) = &self.0
            && range.start <= range.end
            && range.end <= mapped.map.len()
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY:
            // - The range lies within the mapping, as just checked.
            // - The mapping is read-only and backed by a file, so its pages hold nothing that the
            //   file does not.
            // - The pages come back with the file's contents, as at the first read. If the system
            //   refuses, the pages stay.
            let _ = unsafe { mapped.map.unchecked_advise_range(advice, range.start, range.len()) };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Reads the regular file at `path` into memory. For small files.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, or is not a regular file.
    pub fn read(path: &Path) -> Result<Self> {
        const MOST: u64 = 1 << 30;
        read_regular(path, MOST).map(Bytes::from).map_err(|e| Error::io("read", path, e))
    }
}

/// Tells files apart: device and inode.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Files that are mapped cannot be replaced on this system.
#[cfg(not(unix))]
fn identity(_: &Metadata) {}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(mapped) => &mapped.map,
            Source::Embedded(bytes) => bytes,
            Source::Owned(bytes) => bytes,
        }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes(Source::Embedded(bytes))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(Source::Owned(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_gives_the_same_bytes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/bitnet-tiny/config.json");
        let text: &'static [u8] = include_bytes!("../../tests/fixtures/bitnet-tiny/config.json");
        for bytes in
            [Bytes::map(&path).unwrap(), Bytes::read(&path).unwrap(), text.into(), text.to_vec().into()]
        {
            assert_eq!(&*bytes.clone(), text);
        }
    }

    /// Resident kilobytes of the mapping that starts at `address`. An emulator's Linux does not
    /// report them.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn resident(address: *const u8) -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (_, mapping) = smaps.split_once(&format!("{:x}-", address.addr())).unwrap();
        let line = mapping.lines().find(|line| line.starts_with("Rss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn released_pages_leave_memory_and_come_back() {
        let path = std::env::temp_dir().join(format!("tercet-release-{}", std::process::id()));
        let contents: Vec<u8> = (0..1u64 << 20).map(|i| ((i * i) >> 7) as u8).collect();
        std::fs::write(&path, &contents).unwrap();
        let bytes = Bytes::map(&path).unwrap();
        assert!(*bytes == contents && resident(bytes.as_ptr()) == 1024);
        bytes.release(256 << 10..1 << 20);
        assert_eq!(resident(bytes.as_ptr()), 256);
        bytes.release(0..1 << 21);
        let same = *bytes == contents;
        std::fs::remove_file(&path).unwrap();
        assert!(same);
    }

    #[test]
    fn a_directory_or_missing_file_is_refused() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(!Bytes::map(dir).unwrap_err().is_bad_input());
        assert!(Bytes::map(&dir.join("no-such-file")).unwrap_err().is_bad_input());
    }

    /// A file of `len` times the byte `byte`, with a name of this test.
    fn file_of(name: &str, byte: u8, len: usize) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tercet-{name}-{}", std::process::id()));
        std::fs::write(&path, vec![byte; len]).unwrap();
        path
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn a_truncated_file_reads_as_zeros_and_is_reported() {
        for kept in [0, 1, 100_000] {
            let path = file_of("truncated", 7, 1 << 20);
            let bytes = Bytes::map(&path).unwrap();
            let other = Bytes::map(&path).unwrap();
            assert_eq!((bytes[0], bytes.check().is_ok()), (7, true));
            File::options().write(true).open(&path).unwrap().set_len(kept).unwrap();
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let bytes = bytes.clone();
                    std::thread::spawn(move || bytes.iter().filter(|byte| **byte == 7).count() as u64)
                })
                .collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), kept);
            }
            assert!(bytes.check().is_err());
            drop(bytes);
            assert_eq!(other.iter().filter(|byte| **byte == 7).count() as u64, kept);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_written_in_place_is_reported_and_a_replaced_one_is_not() {
        let path = file_of("in-place", 7, 5000);
        let bytes = Bytes::map(&path).unwrap();
        let replacement = file_of("replacement", 8, 5000);
        if cfg!(unix) {
            std::fs::rename(&replacement, &path).unwrap();
            assert!(bytes.check().is_ok() && !bytes.is_current() && bytes.iter().all(|byte| *byte == 7));
        }
        let bytes = Bytes::map(&path).unwrap();
        assert!(bytes.check().is_ok() && bytes.is_current());
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let message = bytes.check().unwrap_err().to_string();
        assert!(message.contains("in-place") && message.contains("changed while in use"), "{message}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let path = std::env::temp_dir().join(format!("tercet-empty-{}", std::process::id()));
        std::fs::write(&path, b"").unwrap();
        let mapped = Bytes::map(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(mapped.unwrap().is_empty());
    }
}
