//! The hub's cache on this machine, as all of Hugging Face's libraries share it: `models--owner--repo/` holds
//! `blobs/` (files by checksum, those under way as `.incomplete`), `refs/` (the commit of a branch or tag) and
//! `snapshots/COMMIT/` (links from names to blobs).
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

    /// The commit that `revision` was when it was last asked for.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        let noted = fs::read_to_string(self.folder.join("refs").join(revision)).ok();
        let commit = noted.map_or_else(|| revision.to_owned(), |commit| commit.trim().to_owned());
        Some(commit).filter(|commit| is_commit(commit))
    }

    /// Notes that `revision` is `commit`.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.folder.join("refs").join(revision);
        if revision == commit || fs::read_to_string(&path).is_ok_and(|noted| noted == commit) {
            return Ok(());
        }
        make_parent(&path)?;
        Ok(write_atomically(&path, |file| file.write_all(commit.as_bytes()))?)
    }

    /// Where the files of `commit` are.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The place of the file whose checksum is `checksum`, and that of its beginning while it is not complete.
    pub(super) fn blob(&self, checksum: &str) -> (PathBuf, PathBuf) {
        let blobs = self.folder.join("blobs");
        (blobs.join(checksum), blobs.join(format!("{checksum}.incomplete")))
    }

    /// Makes the blob `checksum` the file `name` of `commit`.
    pub(super) fn link(&self, commit: &str, name: &str, checksum: &str) -> Result<()> {
        let path = self.snapshot(commit).join(name);
        make_parent(&path)?;
        let blob = self.blob(checksum).0;
        // What is in the way leads nowhere: a link to a blob that was deleted.
        let _ = fs::remove_file(&path);
        let depth = 1 + name.split('/').count();
        place(&blob, &path, depth)
            .or_else(|e| if path.exists() { Ok(()) } else { Err(Error::io("write", &path, e)) })
    }

    /// Holds off other processes that download the same blob, until the file is dropped. `wait` is called if one does.
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

/// A relative link, so that the cache can be moved.
#[cfg(unix)]
fn place(blob: &Path, path: &Path, depth: usize) -> std::io::Result<()> {
    let name = blob.file_name().unwrap_or_default();
    let up: PathBuf = std::iter::repeat_n("..", depth).collect();
    std::os::unix::fs::symlink(up.join("blobs").join(name), path)
}

/// Links take a privilege here: the file itself moves, as Hugging Face's libraries do it.
#[cfg(not(unix))]
fn place(blob: &Path, path: &Path, _depth: usize) -> std::io::Result<()> {
    fs::rename(blob, path)
}

pub(super) fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| Error::io("make the directory", parent, e))
}

/// Whether `text` is a commit's full hash, which also makes it a plain name.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
