//! Bytes of a file: mapped, embedded or in memory.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes of a file: mapped, part of the program, or in memory. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Bytes(Source);

#[derive(Clone, Debug)]
enum Source {
    Mapped(Arc<Mmap>),
    Embedded(&'static [u8]),
    Owned(Arc<[u8]>),
}

impl Bytes {
    /// Maps the regular file at `path` read-only.
    ///
    /// Nobody may truncate or overwrite the file in place while it is mapped. Renaming another file
    /// over it is fine: this is how downloaders and Tercet replace files.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or mapped, or if it is not a regular file.
    pub fn map(path: &Path) -> Result<Self> {
        let file = open(path)?;
        // SAFETY:
        // - The mapping is read-only and private to this value, so nobody in this process writes to
        //   it.
        // - It is unmapped when the last clone is dropped, so no borrow outlives it.
        // - Another process could change the file in place. The contract above excludes this. Every
        //   program that maps files relies on it, since no supported operating system offers a
        //   mapping that is immune.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))?;
        Ok(Bytes(Source::Mapped(Arc::new(map))))
    }

    /// Takes the pages of `range` out of this process's memory, if they are mapped. The next reader
    /// gets them from the system's cache or from disk again.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Source::Mapped(map) = &self.0
            && range.start <= range.end
            && range.end <= map.len()
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY:
            // - The range lies within the mapping, as just checked.
            // - The mapping is read-only and backed by a file, so its pages hold nothing that the
            //   file does not.
            // - The pages come back with the same contents, because the contract of `map` forbids
            //   changes. If the system refuses, the pages stay.
            let _ = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Reads the regular file at `path` into memory. For small files.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, or is not a regular file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut open(path)?, &mut bytes).map_err(|e| Error::io("read", path, e))?;
        Ok(bytes.into())
    }
}

fn open(path: &Path) -> Result<File> {
    // Checked before opening, since opening a named pipe would block.
    let regular = path.metadata().map_err(|e| Error::io("read", path, e))?.is_file();
    if !regular {
        return Err(Error::io("read", path, io::Error::other("not a regular file")));
    }
    File::open(path).map_err(|e| Error::io("read", path, e))
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(map) => map,
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

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let path = std::env::temp_dir().join(format!("tercet-empty-{}", std::process::id()));
        std::fs::write(&path, b"").unwrap();
        let mapped = Bytes::map(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(mapped.unwrap().is_empty());
    }
}
