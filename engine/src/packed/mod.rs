//! A cache of packed models on disk. The first load of a model writes its packed file, later loads read
//! it.
//!
//! A packed file belongs to the contents of the model's files, a packing, and a version of this
//! program. The contents are recognised by the files' sizes, times and inodes, or else by a digest.
//!
//! Packed files are read into memory, not mapped: the small pages of a mapping would slow decoding by a
//! fifth. Files appear whole or not at all, and every part is checked when it is read.

mod file;
mod header;
mod model;
mod position;
mod source;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tercet_codegen::Layout;
use tercet_pool::Pool;

pub(crate) use file::{PackedFile, Part, PartKind};
use header::Header;
pub(crate) use model::PackedModel;
use source::Source;

use crate::error::{Error, Result};

/// The revision of packed files. It must change with every change of a packing or of a part's meaning.
const REVISION: u32 = 2;

/// Extension of packed files.
const PACKED: &str = "packed";

/// A directory of packed models.
///
/// [`Model::load`](crate::Model::load) uses the cache of its [`RuntimeOptions`](crate::RuntimeOptions).
///
/// ```
/// use tercet_engine::PackedCache;
///
/// let dir = std::env::temp_dir().join("tercet-example");
/// let cache = PackedCache::in_dir(&dir);
/// for kept in cache.list()? {
///     println!("{}: {} bytes", kept.path.display(), kept.size);
/// }
/// # assert!(cache.list()?.is_empty());
/// assert_eq!(cache.clear()?, 0);
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedCache {
    dir: PathBuf,
}

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

impl PackedCache {
    /// Returns the cache in the folder `packed` of `cache_dir`. The first write creates the folder.
    pub fn in_dir(cache_dir: &Path) -> Self {
        PackedCache { dir: cache_dir.join("packed") }
    }

    /// Returns the directory of the packed files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the packed file of `source` and `layout`, if there is one.
    ///
    /// # Errors
    /// Fails if the file is damaged or unreadable. The caller then makes it again.
    fn open(&self, source: &Source, layout: Layout) -> Result<Option<PackedFile>> {
        let path = self.path(source, layout);
        match File::open(&path) {
            Ok(file) => PackedFile::open(file, &path, &Self::key(source, layout)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes the packed file of `source` and `layout`, unless another process is writing one.
    ///
    /// # Errors
    /// Fails if the file cannot be written. No incomplete file remains.
    fn write(
        &self,
        source: &Source,
        layout: Layout,
        name: &str,
        parts: &[Part<'_>],
        pool: &Pool,
    ) -> Result<()> {
        let path = self.path(source, layout);
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let lock = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.dir.with_extension("lock"))?;
            if lock.try_lock().is_err() {
                return Ok(());
            }
            // All writers use one temporary name, so the next writer overwrites the remains of a killed
            // one. There is no sync, because checksums reveal files that a system crash damaged.
            let temporary = path.with_extension("tmp");
            let file = File::create(&temporary)?;
            let written = file::write(&file, Self::key(source, layout), name, parts, pool);
            let outcome = written.and_then(|()| fs::rename(&temporary, &path));
            if outcome.is_err() {
                // The error to report is the first one.
                let _ = fs::remove_file(&temporary);
            }
            outcome
        };
        write().map_err(|e| Error::io("write", &path, e))
    }

    /// Lists all packed models, sorted by name. The list of a missing directory is empty.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for path in self.paths()?.into_iter().filter(|path| path.extension().is_some_and(|e| e == PACKED)) {
            let Ok(size) = fs::metadata(&path).map(|metadata| metadata.len()) else { continue };
            let header = File::open(&path).ok().and_then(|file| Header::read(&file).ok());
            kept.push(Kept { model: header.map(|header| header.model), path, size });
        }
        kept.sort_by(|a, b| (&a.model, &a.path).cmp(&(&b.model, &b.path)));
        Ok(kept)
    }

    /// Deletes all files of the cache, and returns their bytes.
    ///
    /// # Errors
    /// Fails if a file cannot be deleted.
    pub fn clear(&self) -> Result<u64> {
        let mut freed = 0;
        for path in self.paths()? {
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            match fs::remove_file(&path) {
                Ok(()) => freed += size,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("delete", &path, e)),
            }
        }
        Ok(freed)
    }

    /// Checks the description `json` of a packed file, which is at `position` of the file.
    ///
    /// # Errors
    /// Fails if a part is outside the file, or does not have one checksum per chunk.
    pub fn check(json: &[u8], position: u64) -> Result<()> {
        let malformed =
            |e: io::Error| Error::malformed("a packed model", "header", e.to_string(), "make it again");
        Header::parse(json, position).map(drop).map_err(malformed)
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let paths = |entries: fs::ReadDir| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
        match fs::read_dir(&self.dir).and_then(paths) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            outcome => outcome.map_err(|e| Error::io("read", &self.dir, e)),
        }
    }

    fn path(&self, source: &Source, layout: Layout) -> PathBuf {
        let Layout { packing, interleave } = layout;
        self.dir.join(format!("{}-{packing}-x{interleave}.{PACKED}", source.contents()))
    }

    /// Returns the key in the header of the packed file of `source` and `layout`.
    fn key(source: &Source, layout: Layout) -> String {
        let Layout { packing, interleave } = layout;
        let version = env!("CARGO_PKG_VERSION");
        format!("{} {packing} x{interleave} {version}+{REVISION}", source.contents())
    }
}
