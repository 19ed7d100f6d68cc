//! The identity of a model's files: a digest of their contents.
//!
//! The digest is noted under the files' appearance (names, sizes, times, inodes), so that files without a
//! change are not read again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tercet_pool::Pool;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::PackedCache;
use super::position::read_at;
use crate::error::{Error, Result};
use tercet_formats::{ModelFiles, create_own, open_own, open_regular};

/// Models with fewer bytes load fast enough without a cache.
const SMALL: u64 = 4 << 20;

/// Extension of notes.
pub(super) const NOTE: &str = "source";
/// Bytes of the longest note that is read.
const LONGEST_NOTE: u64 = 200;

/// How a model's files look to the system: names, sizes, times and inodes.
///
/// Programs can set the time of the last modification, but not that of the last status change.
#[derive(Debug)]
pub(crate) struct Appearance {
    files: Vec<(PathBuf, u64)>,
    text: String,
}

impl Appearance {
    /// Returns the appearance of `files`, or none for small or embedded models.
    ///
    /// # Errors
    /// Fails if a file cannot be looked at, or was replaced since it was opened.
    pub(crate) fn of(files: &ModelFiles) -> Result<Option<Self>> {
        let Some(paths) = files.paths()? else { return Ok(None) };
        let seen = Self::at(paths)?;
        if !files.is_current() {
            let path = seen.files.first().map_or(Path::new(""), |(path, _)| path);
            return Err(Error::io("keep the packed form of", path, io::Error::other("it was replaced")));
        }
        let large = seen.files.iter().map(|(_, len)| len).sum::<u64>() >= SMALL;
        Ok(Some(seen).filter(|_| large))
    }

    /// Returns the digest of all files that determine the text of the model in `files`, or none if it is part of the
    /// program. It takes the digest of the weights from their note in `cache`, if there is one.
    ///
    /// # Errors
    /// Fails if a file cannot be read.
    pub(crate) fn digest_all(
        files: &ModelFiles,
        cache: Option<&PackedCache>,
        pool: &Pool,
    ) -> Result<Option<String>> {
        let (Some(weights), Some(mut others)) = (files.paths()?, files.all_paths()?) else { return Ok(None) };
        others.retain(|path| !weights.contains(path));
        let weights = Self::at(weights)?;
        let name = weights.name();
        let weights =
            match cache.and_then(|cache| noted(&cache.dir().join(&name).with_extension(NOTE), &name)) {
                Some(digest) => digest,
                None => weights.digest(pool)?,
            };
        let others = Self::at(others)?.digest(pool)?;
        Ok(Some(format!("{:032x}", xxh3_128(format!("{weights} {others}").as_bytes()))))
    }

    /// Returns a digest of names, lengths and contents. The threads of `pool` share the chunks.
    fn digest(&self, pool: &Pool) -> Result<String> {
        const CHUNK: u64 = 4 << 20;
        let mut summary = Vec::new();
        for &(ref path, len) in &self.files {
            let failed = |e| Error::io("read", path, e);
            let file = open_regular(path).map_err(failed)?;
            let digests = pool.map(usize::try_from(len.div_ceil(CHUNK)).unwrap_or(usize::MAX), |i| {
                let start = i as u64 * CHUNK;
                let mut chunk = vec![0; CHUNK.min(len - start) as usize];
                read_at(&file, &mut chunk, start).map(|()| xxh3_64(&chunk))
            });
            summary.extend_from_slice(format!("{:?} {len}\n", path.file_name()).as_bytes());
            for digest in digests {
                summary.extend_from_slice(&digest.map_err(failed)?.to_le_bytes());
            }
        }
        Ok(format!("{:032x}", xxh3_128(&summary)))
    }

    fn at(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        use std::fmt::Write as _;
        let (mut files, mut text) = (Vec::new(), String::new());
        for path in paths {
            let metadata = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
            let (name, len, modified) = (path.file_name(), metadata.len(), metadata.modified().ok());
            let _ = writeln!(text, "{name:?} {len} {modified:?}");
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                let (s, ns) = (metadata.ctime(), metadata.ctime_nsec());
                let _ = writeln!(text, "{} {} {s}.{ns}", metadata.dev(), metadata.ino());
            }
            #[cfg(not(unix))]
            let _ = writeln!(text, "{}", path.display());
            files.push((path, len));
        }
        Ok(Appearance { files, text })
    }

    /// Returns true if the files still look like this.
    pub(super) fn lasts(&self) -> bool {
        Self::at(self.files.iter().map(|(path, _)| path.clone())).is_ok_and(|now| now.text == self.text)
    }

    /// Returns a name for this appearance.
    pub(super) fn name(&self) -> String {
        format!("{:032x}", xxh3_128(self.text.as_bytes()))
    }
}

/// The contents of a model's files, as a digest of 128 bits.
#[derive(Debug)]
pub(super) struct Source {
    seen: Appearance,
    contents: String,
    /// The note to be written, if there is none yet.
    note: Option<PathBuf>,
}

impl Source {
    /// Returns the source of files that look like `seen`.
    ///
    /// Takes the digest from its note in `dir`, if the files were read before and look unchanged.
    pub(super) fn find(dir: &Path, seen: Appearance, pool: &Pool) -> Result<Self> {
        let name = seen.name();
        let note = dir.join(&name).with_extension(NOTE);
        if let Some(contents) = noted(&note, &name) {
            return Ok(Source { seen, contents, note: None });
        }
        let contents = seen.digest(pool)?;
        Ok(Source { seen, contents, note: Some(note) })
    }

    /// Returns the digest in hexadecimal digits.
    pub(super) fn contents(&self) -> &str {
        &self.contents
    }

    /// Returns true if the files are still those that were looked at first.
    pub(super) fn is_unchanged(&self) -> bool {
        self.seen.lasts()
    }

    /// Notes the digest for the next time. Failures are ignored: without a note the next run reads the files again.
    pub(super) fn note(&mut self) {
        let text = text(&self.seen.name(), &self.contents);
        if let Some(mut file) = self.note.take().and_then(|path| create_own(&path).ok()) {
            let _ = file.write_all(text.as_bytes());
        }
    }
}

/// Returns the text of a note: the name of the appearance, the digest of the contents, and a checksum of both.
fn text(name: &str, contents: &str) -> String {
    let pair = format!("{name} {contents}");
    format!("{pair} {:016x}\n", xxh3_64(pair.as_bytes()))
}

/// Returns the digest in the note at `path`, if the note is whole and belongs to the appearance `name`.
pub(super) fn noted(path: &Path, name: &str) -> Option<String> {
    let note = read_note(path)?;
    let contents = note.split(' ').nth(1)?;
    (note == text(name, contents)).then(|| contents.to_owned())
}

/// Returns true if the file at `path` is a note: of this version, or only a digest as in earlier ones.
pub(super) fn is_note(path: &Path) -> bool {
    read_note(path).is_some_and(|note| {
        is_digest(&note) || note.split_once(' ').is_some_and(|(name, _)| noted(path, name).is_some())
    })
}

fn read_note(path: &Path) -> Option<String> {
    let mut note = String::new();
    open_own(path, File::options().read(true)).ok()?.take(LONGEST_NOTE).read_to_string(&mut note).ok()?;
    Some(note)
}

/// Returns true for the digits of a digest or of an appearance's name.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
