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
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::repository::Repository;
use crate::error::{Error, Result};
use tercet_formats::{create_own, lock_own, read_regular};

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

    /// Returns the folder of the repository.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder of the locks of its downloads.
    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    /// Returns the commit that `revision` stood for at the last download.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        let noted = read_text(&self.folder.join("refs").join(revision));
        let commit = noted.map_or_else(|| revision.to_owned(), |commit| commit.trim().to_owned());
        Some(commit).filter(|commit| is_commit(commit))
    }

    /// Records that `revision` stands for `commit`.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.folder.join("refs").join(revision);
        if revision == commit || read_text(&path).is_some_and(|noted| noted == commit) {
            return Ok(());
        }
        make_parent(&path)?;
        // A text that is cut off is no commit, and only makes the next run ask the hub.
        let written = create_own(&path).and_then(|mut file| file.write_all(commit.as_bytes()));
        written.map_err(|e| Error::io("write", &path, e))
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
    ///
    /// Calls `wait` once if another process holds the lock. Fails if that process makes no progress for `patience`.
    pub(super) fn lock(&self, checksum: &str, patience: Duration, wait: impl FnOnce()) -> Result<File> {
        let path = self.locks.join(format!("{checksum}.lock"));
        make_parent(&path)?;
        let incomplete = self.blob(checksum).1;
        let progress = || fs::symlink_metadata(&incomplete).map_or(0, |metadata| metadata.len());
        let (mut wait, mut seen, mut since) = (Some(wait), progress(), Duration::ZERO);
        let lock = lock_own(&path, |waited| {
            wait.take().into_iter().for_each(|wait| wait());
            if progress() != seen {
                (seen, since) = (progress(), waited);
            }
            match waited - since > patience {
                true => Err(io::Error::new(io::ErrorKind::TimedOut, STUCK)),
                false => Ok(()),
            }
        });
        lock.map_err(|e| Error::io("lock", &path, e))
    }
}

/// The reason to give up on a lock.
const STUCK: &str =
    "another process holds it and makes no progress; end that process, and run the command again";

/// Reads a small text, such as a commit.
fn read_text(path: &Path) -> Option<String> {
    const LONGEST: u64 = 1000;
    String::from_utf8(read_regular(path, LONGEST).ok()?).ok()
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
