//! What is made beside its final place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{parent, remains};

/// A file or directory under a temporary name, beside the place where it will appear.
///
/// Dropping the value deletes what has the temporary name: the unfinished work or, after an exchange,
/// the old directory.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    target: PathBuf,
    /// Locked, so that other processes see that the temporary name is in use.
    handle: File,
}

impl Staged {
    /// Creates an empty file that will appear at `target`.
    pub(super) fn file(target: &Path) -> io::Result<Self> {
        Self::create(target, |path| File::options().write(true).create_new(true).open(path))
    }

    /// Creates an empty directory that will appear at `target`.
    pub(super) fn directory(target: &Path) -> io::Result<Self> {
        Self::create(target, |path| fs::create_dir(path).and_then(|()| File::open(path)))
    }

    fn create(target: &Path, make: impl Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        static CALLS: Mutex<u32> = Mutex::new(0);
        // Held until the new name is locked, or another thread could take it for abandoned.
        let mut call = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
        remains::clear(target);
        loop {
            *call = call.wrapping_add(1);
            let path = remains::name(target, *call, remains::UNFINISHED)?;
            match make(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    let handle = made?;
                    // Some file systems have no locks. The process id in the name protects it there.
                    let _ = handle.try_lock();
                    return Ok(Staged { path, target: target.to_owned(), handle });
                }
            }
        }
    }

    /// Returns the temporary name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the final place.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the open file or directory.
    pub(crate) fn handle(&self) -> &File {
        &self.handle
    }

    /// Puts the file or directory at its final place, after its contents are on the disk.
    pub(crate) fn publish(self) -> io::Result<()> {
        self.publish_by(|path, target| fs::rename(path, target))
    }

    /// Publishes through `rename`, which gets the temporary name and the final place.
    pub(super) fn publish_by(&self, rename: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        match self.handle.sync_all() {
            // Some file systems cannot sync a directory.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
            outcome => outcome?,
        }
        rename(&self.path, &self.target)?;
        // The new name is in use already, so a failure here only makes a power cut undo it.
        let _ = File::open(parent(&self.target)).and_then(|directory| directory.sync_all());
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        remains::delete(&self.path);
    }
}
