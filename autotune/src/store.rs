//! Records on disk: one file that many processes may read and write at once.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::records::{MOST_BYTES, Records, RecordsError};

/// An error of the store. Callers go on without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Some records in the file cannot be used.
    #[error("{}: {problem}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// The error in it.
        problem: RecordsError,
    },
}

/// The file of records: `tuning.json` in a directory of the user.
///
/// ```
/// use tercet_autotune::{Records, Store};
///
/// let directory = std::env::temp_dir().join(format!("tercet-store-example-{}", std::process::id()));
/// let store = Store::in_dir(&directory);
/// store.add(Records::default())?;
/// let (records, warning) = store.read();
/// assert!(records.len() == 0 && warning.is_none());
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok::<(), tercet_autotune::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Returns the store in `dir`. The first write makes the directory.
    pub fn in_dir(dir: &Path) -> Self {
        Store { path: dir.join("tuning.json") }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the usable records, and a warning if the file holds more. A missing file holds no records.
    pub fn read(&self) -> (Records, Option<StoreError>) {
        match read_bounded(&self.path) {
            Ok(json) => {
                let (records, problem) = Records::salvage(&json);
                let warning = |problem| StoreError::Records { path: self.path.clone(), problem };
                (records, problem.map(warning))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => (Records::default(), None),
            Err(e) => (Records::default(), Some(self.error("read", e))),
        }
    }

    /// Adds `records` to the file. They replace those of the same key.
    ///
    /// Writers take turns. Readers see the old or the new file, never a part.
    ///
    /// # Errors
    /// Fails if the directory cannot be written. The file is then unchanged.
    pub fn add(&self, records: Records) -> Result<(), StoreError> {
        self.try_add(records).map_err(|e| self.error("write", e))
    }

    fn try_add(&self, records: Records) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let lock = self.lock()?;
        let mut merged = self.to_keep()?;
        merged.merge(records);
        self.replace(merged.to_json().as_bytes())?;
        lock.unlock()
    }

    /// Returns the records that stay when others are added: all usable ones. Damaged records may be overwritten, but a
    /// file that cannot be read at the moment may not.
    fn to_keep(&self) -> io::Result<Records> {
        match self.read() {
            (_, Some(StoreError::Io { source, .. })) if source.kind() != io::ErrorKind::InvalidInput => {
                Err(source)
            }
            (records, _) => Ok(records),
        }
    }

    /// Deletes every record.
    ///
    /// # Errors
    /// Fails if the directory cannot be written.
    pub fn forget(&self) -> Result<(), StoreError> {
        let forget = || match fs::symlink_metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(_) => {
                let lock = self.lock()?;
                match fs::remove_file(&self.path) {
                    // Another process deleted it.
                    Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                    _ => lock.unlock(),
                }
            }
        };
        forget().map_err(|e| self.error("delete", e))
    }

    /// Locks out other writers until the file is dropped. The wait is bounded, because a stopped process may hold the
    /// lock.
    fn lock(&self) -> io::Result<File> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let path = self.path.with_extension("lock");
        refuse_special(&path)?;
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(e),
                Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds the lock"));
                }
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Replaces the file. The caller holds the lock.
    fn replace(&self, contents: &[u8]) -> io::Result<()> {
        let temporary = self.path.with_extension("tmp");
        // A killed writer may have left a temporary file.
        let _ = fs::remove_file(&temporary);
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        let outcome = file.write_all(contents).and_then(|()| file.sync_all());
        drop(file);
        let outcome = outcome.and_then(|()| fs::rename(&temporary, &self.path));
        if outcome.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        outcome
    }

    fn error(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::Io { action, path: self.path.clone(), source }
    }
}

/// Refuses special files: opening a pipe would wait for its other end.
fn refuse_special(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Reads the file, at most one byte more than the largest store.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    refuse_special(path)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the records of an exported file, all or none.
///
/// # Errors
/// Fails if the file cannot be read, or any of its records cannot be used.
pub fn read_all(path: &Path) -> Result<Records, StoreError> {
    let json = read_bounded(path).map_err(|source| StoreError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Records::parse(&json).map_err(|problem| StoreError::Records { path: path.to_owned(), problem })
}
