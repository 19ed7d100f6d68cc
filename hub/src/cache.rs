//! The hub's cache on this machine, which all of Hugging Face's libraries share.
//!
//! The folder `models--owner--repo/` holds
//!
//! - `blobs/`: files by checksum. The names of unfinished ones end in `.incomplete`.
//! - `refs/`: the commit of each branch or tag.
//! - `snapshots/COMMIT/`: links from file names to blobs.
//!
//! Layout: <https://huggingface.co/docs/huggingface_hub/guides/manage-cache>.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::repository::Repository;
use crate::error::{Error, Result};
use tercet_formats::write_atomically;

/// One repository's folder.
#[derive(Debug)]
pub(super) struct RepositoryCache {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepositoryCache {
    pub(super) fn new(cache: &Path, repository: &Repository) -> Self {
        let name = format!("models--{}", repository.id().replace('/', "--"));
        RepositoryCache { folder: cache.join(&name), locks: cache.join(".locks").join(&name) }
    }

    /// Returns the commit that `revision` stood for at the last download.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        let noted = fs::read_to_string(self.folder.join("refs").join(revision)).ok();
        let commit = noted.map_or_else(|| revision.to_owned(), |commit| commit.trim().to_owned());
        Some(commit).filter(|commit| is_commit(commit))
    }

    /// Records that `revision` stands for `commit`.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.folder.join("refs").join(revision);
        if revision == commit || fs::read_to_string(&path).is_ok_and(|noted| noted == commit) {
            return Ok(());
        }
        make_parent(&path)?;
        Ok(write_atomically(&path, |file| file.write_all(commit.as_bytes()))?)
    }

    /// Returns the directory of the files of `commit`.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Returns two paths for the file with this checksum: of the complete file, and of an
    /// unfinished download.
    pub(super) fn blob(&self, checksum: &str) -> (PathBuf, PathBuf) {
        let blobs = self.folder.join("blobs");
        (blobs.join(checksum), blobs.join(format!("{checksum}.incomplete")))
    }

    /// Makes the blob `checksum` the file `name` of `commit`.
    pub(super) fn link(&self, commit: &str, name: &str, checksum: &str) -> Result<()> {
        let path = self.snapshot(commit).join(name);
        make_parent(&path)?;
        let blob = self.blob(checksum).0;
        // An existing link leads to a deleted blob.
        let _ = fs::remove_file(&path);
        let depth = 1 + name.split('/').count();
        place(&blob, &path, depth)
            .or_else(|e| if path.exists() { Ok(()) } else { Err(Error::io("write", &path, e)) })
    }

    /// Locks the download of a blob against other processes, until the returned file is dropped.
    /// Calls `wait` before waiting for another process.
    pub(super) fn lock(&self, checksum: &str, wait: impl FnOnce()) -> Result<File> {
        let path = self.locks.join(format!("{checksum}.lock"));
        make_parent(&path)?;
        let lock = || {
            let file = File::options().write(true).create(true).truncate(false).open(&path)?;
            if file.try_lock().is_err() {
                wait();
                file.lock()?;
            }
            Ok(file)
        };
        lock().map_err(|e| Error::io("lock", &path, e))
    }
}

/// Links `path` to `blob`. The link is relative, so that the cache can be moved.
#[cfg(unix)]
fn place(blob: &Path, path: &Path, depth: usize) -> std::io::Result<()> {
    let name = blob.file_name().unwrap_or_default();
    let up: PathBuf = std::iter::repeat_n("..", depth).collect();
    std::os::unix::fs::symlink(up.join("blobs").join(name), path)
}

/// Moves the file to `path`, like Hugging Face's libraries, because links need a privilege on this
/// system.
#[cfg(not(unix))]
fn place(blob: &Path, path: &Path, _depth: usize) -> std::io::Result<()> {
    fs::rename(blob, path)
}

pub(super) fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| Error::io("make the directory", parent, e))
}

/// Returns true if `text` is a commit's full hash, which is also a safe file name.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
