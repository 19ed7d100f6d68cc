//! Models as they are packed, kept on disk: written when a model is first loaded, read when it is loaded again.
//!
//! A file belongs to the contents of the model's files, to a packing and to the version of this program. It is found by
//! a quick look at the model's files (size, times, inode) or else by their contents, and read into the memory that kernels
//! stream from: mapped, its small pages would cost a fifth of the speed of decoding. Files appear whole or not at all,
//! and every part is checked when it is read.

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

/// What the layout of packed files' contents is known by. A change of any packing or of a part's meaning changes it.
const REVISION: u32 = 2;

/// Extension of packed files.
const PACKED: &str = "packed";

/// A directory of packed models.
#[derive(Clone, Debug)]
pub struct PackedCache {
    dir: PathBuf,
}

/// A packed file, as listed.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The model's name, if the file can be read.
    pub model: Option<String>,
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
}

impl PackedCache {
    /// The packed models in `cache_dir`; nothing is made before something is written.
    pub fn in_dir(cache_dir: &Path) -> Self {
        PackedCache { dir: cache_dir.join("packed") }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The packed file of `source` and `layout`, if there is one.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::Io`] if it is damaged; it is to be made again.
    fn open(&self, source: &Source, layout: Layout) -> Result<Option<PackedFile>> {
        let path = self.path(source, layout);
        match File::open(&path) {
            Ok(file) => PackedFile::open(file, &path, &Self::key(source, layout)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes the packed file of `source` and `layout`, unless another process is doing so.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; nothing is left behind then.
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
            // One name for all writers: what one leaves behind when it is killed, the next one overwrites. Nothing is
            // synced: what a crash of the system leaves behind has wrong checksums.
            let temporary = path.with_extension("tmp");
            let file = File::create(&temporary)?;
            let written = file::write(&file, Self::key(source, layout), name, parts, pool);
            let outcome = written.and_then(|()| fs::rename(&temporary, &path));
            if outcome.is_err() {
                // The first failure is the one to report.
                let _ = fs::remove_file(&temporary);
            }
            outcome
        };
        write().map_err(|e| Error::io("write", &path, e))
    }

    /// Every packed model.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read; that there is none is no error.
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

    /// Deletes everything; the bytes that became free.
    ///
    /// # Errors
    /// [`Error::Io`] if something cannot be deleted.
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

    /// Checks a packed file's description `json`, which stands at `position` of the file: what reading relies on.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a part lies outside the file, or has not as many checksums as it needs.
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

    /// What a file says that it belongs to.
    fn key(source: &Source, layout: Layout) -> String {
        let Layout { packing, interleave } = layout;
        let version = env!("CARGO_PKG_VERSION");
        format!("{} {packing} x{interleave} {version}+{REVISION}", source.contents())
    }
}
