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
mod kept;
mod model;
mod position;
mod source;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tercet_codegen::Layout;
use tercet_pool::Pool;

pub(crate) use file::{PackedFile, Part, PartKind};
use header::Header;
pub(crate) use header::Order;
pub use kept::{Cleared, Kept};
pub(crate) use model::PackedModel;
pub(crate) use source::Appearance;
use source::Source;

use crate::error::{Error, Result};
use crate::size::Size;
use tercet_formats::{create_own, lock_own, open_own};

/// The revision of packed files. It must change with every change of a packing or of a part's meaning.
const REVISION: u32 = 3;

/// Extension of packed files, and of packed files that are being written.
const PACKED: &str = "packed";
const UNFINISHED: &str = "tmp";

/// The form of a model's packed matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) layout: Layout,
    /// Whether matrices that skip columns or rows are packed in the order of these.
    pub(crate) skips: bool,
}

impl From<Layout> for Form {
    fn from(layout: Layout) -> Self {
        Form { layout, skips: false }
    }
}

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
/// assert_eq!(cache.clear()?.freed, 0);
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedCache {
    dir: PathBuf,
    limit: Size,
}

impl PackedCache {
    /// The size that a cache may have by default: about twenty models of two billion weights.
    pub const DEFAULT_LIMIT: Size = Size(20_000_000_000);

    /// Returns the cache in the folder `packed` of `cache_dir`. The first write creates the folder.
    pub fn in_dir(cache_dir: &Path) -> Self {
        PackedCache { dir: cache_dir.join("packed"), limit: Self::DEFAULT_LIMIT }
    }

    /// Returns the same cache with another limit of its size. A write deletes the files that were not used for the longest
    /// time, as far as they exceed the limit.
    #[must_use]
    pub fn with_limit(self, limit: Size) -> Self {
        PackedCache { limit, ..self }
    }

    /// Returns the directory of the packed files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the size that the cache may have.
    pub fn limit(&self) -> Size {
        self.limit
    }

    /// Opens the packed file of `source` in `form`, if there is one.
    ///
    /// # Errors
    /// Fails if the file is damaged or unreadable. The caller then makes it again.
    fn open(&self, source: &Source, form: Form) -> Result<Option<PackedFile>> {
        let path = self.path(source, form);
        match open_own(&path, File::options().read(true)) {
            Ok(file) => PackedFile::open(file, &path, &Self::key(source, form)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes the packed file of `source` in `form`, unless another process is writing one.
    ///
    /// # Errors
    /// Fails if the file cannot be written, or is larger than the cache may be. No incomplete file remains.
    fn write(
        &self,
        source: &mut Source,
        form: Form,
        name: &str,
        parts: &[Part<'_>],
        pool: &Pool,
    ) -> Result<()> {
        let path = self.path(source, form);
        let mut write = || {
            fs::create_dir_all(&self.dir)?;
            let busy = |_| Err(io::Error::from(io::ErrorKind::WouldBlock));
            let _lock = match lock_own(&self.dir.with_extension("lock"), busy) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                outcome => outcome?,
            };
            self.make_room(source.contents(), &path, parts.iter().map(Part::bytes).sum())?;
            source.note();
            // All writers use one temporary name, so the next writer replaces the remains of a killed
            // one. There is no sync, because checksums reveal files that a system crash damaged.
            let temporary = path.with_extension(UNFINISHED);
            let file = create_own(&temporary)?;
            let written = file::write(&file, Self::key(source, form), name, parts, pool);
            let outcome = written.and_then(|()| fs::rename(&temporary, &path));
            if outcome.is_err() {
                // The error to report is the first one.
                let _ = fs::remove_file(&temporary);
            }
            outcome
        };
        write().map_err(|e| Error::io("write", &path, e))
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

    fn path(&self, source: &Source, form: Form) -> PathBuf {
        let Layout { packing, interleave } = form.layout;
        self.dir.join(format!("{}-{packing}-x{interleave}.{PACKED}", source.contents()))
    }

    /// Returns the key in the header of the packed file of `source` in `form`.
    fn key(source: &Source, form: Form) -> String {
        let Form { layout: Layout { packing, interleave }, skips } = form;
        let (skips, version) = (if skips { " skips" } else { "" }, env!("CARGO_PKG_VERSION"));
        format!("{} {packing} x{interleave}{skips} {version}+{REVISION}", source.contents())
    }
}
