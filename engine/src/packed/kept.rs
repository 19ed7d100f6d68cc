//! The files that a cache keeps: their list, and their end.
//!
//! Only files that this program wrote count, by name and contents. Others in the same directory are neither listed nor
//! deleted, and links are not followed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tercet_codegen::Packing;
use tercet_formats::{ModelFiles, open_own};

use super::header::{Header, MAGIC};
use super::source::{Appearance, NOTE, is_digest, is_note, noted};
use super::{PACKED, PackedCache, UNFINISHED};
use crate::error::{Error, Result};
use crate::size::Size;

/// A packed file in a list.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The model's name, or none if the file cannot be read.
    pub model: Option<String>,
    /// The file's path.
    pub path: PathBuf,
    /// The file's size in bytes.
    pub size: u64,
}

/// The outcome of [`PackedCache::clear`].
#[derive(Debug, Default)]
pub struct Cleared {
    /// Bytes of the files that were deleted.
    pub freed: u64,
    /// The files that could not be deleted, with the reasons.
    pub failures: Vec<Error>,
}

impl PackedCache {
    /// Lists all packed models, sorted by name. The list of a missing directory is empty.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for path in self.own()?.into_iter().filter(|path| has_extension(path, PACKED)) {
            let Ok(size) = fs::symlink_metadata(&path).map(|metadata| metadata.len()) else { continue };
            let header = open_own(&path, File::options().read(true)).and_then(|file| Header::read(&file));
            kept.push(Kept { model: header.ok().map(|header| header.model), path, size });
        }
        kept.sort_by(|a, b| (&a.model, &a.path).cmp(&(&b.model, &b.path)));
        Ok(kept)
    }

    /// Deletes all packed models. Deletes nothing that this program did not write, and goes on past what it cannot delete.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn clear(&self) -> Result<Cleared> {
        let mut cleared = Cleared::default();
        for path in self.own()? {
            let size = fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
            match fs::remove_file(&path) {
                Ok(()) => cleared.freed += size,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => cleared.failures.push(Error::io("delete", &path, e)),
            }
        }
        Ok(cleared)
    }

    /// Deletes the packed forms of the model in `files`, and returns the number of bytes that they took.
    ///
    /// # Errors
    /// Fails if the model's files or the directory cannot be read, or a packed form cannot be deleted.
    pub fn forget(&self, files: &ModelFiles) -> Result<u64> {
        let Some(seen) = Appearance::of(files)? else { return Ok(0) };
        let name = seen.name();
        let note = self.dir.join(&name).with_extension(NOTE);
        // Whoever packs a model notes the digest of its contents.
        let Some(contents) = noted(&note, &name) else { return Ok(0) };
        let mut freed = 0;
        for path in
            self.own()?.into_iter().filter(|path| stem(path).is_some_and(|stem| stem.starts_with(&contents)))
        {
            freed += fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
            fs::remove_file(&path).map_err(|e| Error::io("delete", &path, e))?;
        }
        fs::remove_file(&note).map_err(|e| Error::io("delete", &note, e))?;
        Ok(freed)
    }

    /// Deletes the packed files that were not used for the longest time, until `bytes` more at `path` keep the limit. The
    /// files of `contents` stay, because their model is being loaded.
    ///
    /// # Errors
    /// Fails if that is not enough, before anything is deleted.
    pub(super) fn make_room(&self, contents: &str, path: &Path, bytes: u64) -> io::Result<()> {
        let mut others = Vec::new();
        let (mut all, mut needed) = (bytes, bytes);
        for kept in self.list().map_err(io::Error::other)? {
            let is_own = stem(&kept.path).is_some_and(|stem| stem.starts_with(contents));
            if kept.path == path {
                continue;
            }
            all += kept.size;
            match is_own {
                true => needed += kept.size,
                false => others.push((last_use(&kept.path), kept)),
            }
        }
        if needed > self.limit.0 {
            let problem = format!("it takes {}, and the cache may have {}", Size(needed), self.limit);
            return Err(io::Error::other(format!("{problem}; allow more with --cache-size")));
        }
        others.sort_by_key(|(used, _)| *used);
        for (_, kept) in others {
            if all <= self.limit.0 {
                break;
            }
            if fs::remove_file(&kept.path).is_ok() {
                all -= kept.size;
            }
        }
        Ok(())
    }

    /// Returns the files in the directory that this program wrote.
    fn own(&self) -> Result<Vec<PathBuf>> {
        let paths = |entries: fs::ReadDir| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
        let paths: Vec<PathBuf> = match fs::read_dir(self.dir()).and_then(paths) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            outcome => outcome.map_err(|e| Error::io("read", self.dir(), e))?,
        };
        Ok(paths.into_iter().filter(|path| is_own(path)).collect())
    }
}

/// Returns the time of the last read or write, as far as the file system records reads.
fn last_use(path: &Path) -> SystemTime {
    let times = fs::symlink_metadata(path).map(|found| [found.accessed().ok(), found.modified().ok()]);
    times.ok().into_iter().flatten().flatten().max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns true if this program wrote the file at `path`, by its name and its first bytes.
fn is_own(path: &Path) -> bool {
    let Some(stem) = stem(path) else { return false };
    if has_extension(path, NOTE) {
        return is_digest(stem) && is_note(path);
    }
    let is_packed = has_extension(path, PACKED) || has_extension(path, UNFINISHED);
    is_packed && names_layout(stem) && starts_like_packed(path).unwrap_or(false)
}

/// Returns true for a digest with a packing and an interleave, as in `0a…9f-2bit-x4`.
fn names_layout(stem: &str) -> bool {
    let mut parts = stem.splitn(2, '-');
    let (digest, layout) = (parts.next(), parts.next());
    let known = |(packing, interleave): (&str, &str)| {
        packing.parse::<Packing>().is_ok() && interleave.parse::<usize>().is_ok()
    };
    digest.is_some_and(is_digest) && layout.and_then(|layout| layout.rsplit_once("-x")).is_some_and(known)
}

/// Returns true if the file starts like a packed one, or with zeros, as after a crash of the system.
fn starts_like_packed(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    open_own(path, File::options().read(true))?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start.iter().zip(MAGIC).all(|(found, magic)| *found == magic || *found == 0))
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
