//! Reads and writes at positions of a file, which several threads can do at the same time.

#[cfg(not(unix))]
pub(super) use cursor::{read_at, write_at};
#[cfg(unix)]
pub(super) use positioned::{read_at, write_at};

#[cfg(unix)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    pub(crate) fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(buffer, offset)
    }
}

#[cfg(not(unix))]
mod cursor {
    use std::fs::File;
    use std::io::{self, Read, Seek, SeekFrom, Write};
    use std::sync::{Mutex, PoisonError};

    /// Held while a thread uses a file's cursor, of which there is only one.
    static CURSOR: Mutex<()> = Mutex::new(());

    pub(crate) fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let _held = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    pub(crate) fn write_at(mut file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
        let _held = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(buffer)
    }
}
