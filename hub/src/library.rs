//! The models in the hub's cache: their list, and their end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tercet_formats::GgufFile;

use super::cache::{RepositoryCache, is_commit};
use super::{Hub, MODELS, Repository, is_model};
use crate::error::{Error, Result};

/// A model in the hub's cache, whichever program has downloaded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalModel {
    /// A name that opens it: that of [`MODELS`], `owner/repo`, `owner/repo@commit` or `owner/repo/file.gguf`.
    pub name: String,
    /// Its repository, as `owner/repo`.
    pub repository: String,
    /// Its directory or GGUF file.
    pub path: PathBuf,
    /// Bytes of its files.
    pub size: u64,
    /// The time when its last file arrived.
    pub modified: Option<SystemTime>,
}

impl Hub {
    /// Lists the models in the cache, sorted by name. Repositories without weights that Tercet could read are left out.
    ///
    /// # Errors
    /// Fails if the cache is there and cannot be read.
    pub fn local_models(&self) -> Result<Vec<LocalModel>> {
        let mut models = Vec::new();
        for folder in folders(&self.cache_dir)? {
            let Some(repository) = repository_of(&folder) else { continue };
            let cache = RepositoryCache::new(&self.cache_dir, &repository);
            let main = cache.commit(repository.revision());
            for snapshot in folders(&folder.join("snapshots"))? {
                let commit = snapshot.file_name().unwrap_or_default().to_string_lossy();
                if !is_commit(&commit) {
                    continue;
                }
                let revision =
                    if main.as_deref() == Some(&*commit) { String::new() } else { format!("@{commit}") };
                let id = repository.id();
                if is_model(&snapshot) {
                    models.push(self.local(format!("{id}{revision}"), id, snapshot.clone()));
                }
                for file in gguf_files(&snapshot) {
                    let name = file.strip_prefix(&snapshot).unwrap_or(&file).display();
                    models.push(self.local(format!("{id}/{name}{revision}"), id, file.clone()));
                }
            }
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// Deletes the repository's folder in the cache, with every revision, and returns the number of bytes in it.
    ///
    /// # Errors
    /// Fails if there is none, or it cannot be deleted.
    pub fn remove(&self, repository: &Repository) -> Result<u64> {
        let cache = RepositoryCache::new(&self.cache_dir, repository);
        let size = ["blobs", "snapshots"].map(|folder| bytes_in(&cache.folder().join(folder))).iter().sum();
        match fs::remove_dir_all(cache.folder()) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let problem = "it is not on this machine";
                return Err(Error::bad_argument(
                    repository.to_string(),
                    problem,
                    "`tercet list` shows what is",
                ));
            }
            Err(e) => return Err(Error::io("delete", cache.folder(), e)),
        }
        // The locks of its downloads are of no use any more. Nothing is lost if they stay.
        let _ = fs::remove_dir_all(cache.locks());
        Ok(size)
    }

    fn local(&self, name: String, repository: &str, path: PathBuf) -> LocalModel {
        let is_path = |model: &&super::NamedModel| {
            model.repository().is_ok_and(|repository| self.find(&repository).as_ref() == Some(&path))
        };
        let files = if path.is_dir() { files_in(&path) } else { vec![path.clone()] };
        let metadata: Vec<_> = files.iter().filter_map(|file| fs::metadata(file).ok()).collect();
        LocalModel {
            name: MODELS.iter().find(is_path).map_or(name, |named| named.name.to_owned()),
            repository: repository.to_owned(),
            size: metadata.iter().map(fs::Metadata::len).sum(),
            modified: metadata.iter().filter_map(|metadata| metadata.modified().ok()).max(),
            path,
        }
    }
}

/// Returns the repository whose folder in the cache is `folder`.
fn repository_of(folder: &Path) -> Option<Repository> {
    let (owner, name) = folder.file_name()?.to_str()?.strip_prefix("models--")?.split_once("--")?;
    format!("{owner}/{name}").parse().ok()
}

/// Returns the GGUF files of a snapshot: of a model in parts, the first part.
fn gguf_files(snapshot: &Path) -> Vec<PathBuf> {
    let is_first = |file: &PathBuf| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        file.extension().is_some_and(|extension| extension == "gguf")
            && GgufFile::part_of(&stem).is_none_or(|(_, part, _)| part == 1)
    };
    files_in(snapshot).into_iter().filter(is_first).collect()
}

/// Returns the folders in `folder`. One that does not exist has none.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", folder, e)),
    };
    let folders = entries.filter_map(|entry| entry.ok()).filter(|entry| {
        // A link leads out of the cache.
        entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    Ok(folders.map(|entry| entry.path()).collect())
}

/// Returns the files in `folder` and in its folders. Links to files count, links to folders do not.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        folders(folder).unwrap_or_default().iter().flat_map(|inner| files_in(inner)).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok());
    files.extend(entries.map(|entry| entry.path()).filter(|path| path.is_file()));
    files.sort();
    files
}

/// Returns the bytes of the files below `folder`, without those that links lead to.
fn bytes_in(folder: &Path) -> u64 {
    let own = |file: &PathBuf| fs::symlink_metadata(file).ok().filter(|metadata| metadata.is_file());
    files_in(folder).iter().filter_map(own).map(|metadata| metadata.len()).sum()
}
