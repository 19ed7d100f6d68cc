//! The identity of a model's files: a digest of their contents.
//!
//! The digest is noted under the files' appearance (names, sizes, times, inodes), so that files without a
//! change are not read again.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};

use tercet_pool::Pool;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::position::read_at;
use crate::error::{Error, Result};
use tercet_formats::ModelFiles;

/// Models with fewer bytes load fast enough without a cache.
const SMALL: u64 = 4 << 20;

/// The contents of a model's files, as a digest of 128 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source(String);

impl Source {
    /// Returns the digest in hexadecimal digits.
    pub(super) fn contents(&self) -> &str {
        &self.0
    }

    /// Returns the source of `files`, or none for small or embedded models.
    ///
    /// Takes the digest from its note in `dir`, if the files were read before and look unchanged.
    pub(super) fn find(dir: &Path, files: &ModelFiles, pool: &Pool) -> Result<Option<Self>> {
        let Some(paths) = files.paths()? else { return Ok(None) };
        let files = paths.into_iter().map(|path| {
            let metadata = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
            Ok((path, metadata))
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        if files.iter().map(|(_, metadata)| metadata.len()).sum::<u64>() < SMALL {
            return Ok(None);
        }
        let note = dir.join(format!("{:032x}.source", xxh3_128(appearance(&files).as_bytes())));
        let noted = fs::read_to_string(&note).ok();
        if let Some(contents) = noted.filter(|contents| is_digest(contents)) {
            return Ok(Some(Source(contents)));
        }
        let contents = digest(&files, pool)?;
        // A note that is missing or incomplete only makes the next run read the files again.
        let _ = fs::create_dir_all(dir);
        let _ = fs::write(&note, &contents);
        Ok(Some(Source(contents)))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the files' appearance: names, sizes, times and inodes.
///
/// Programs can set the time of the last modification, but not that of the last status change.
fn appearance(files: &[(PathBuf, Metadata)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (path, metadata) in files {
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
    }
    text
}

/// Returns a digest of names, lengths and contents. The threads of `pool` share the chunks.
fn digest(files: &[(PathBuf, Metadata)], pool: &Pool) -> Result<String> {
    const CHUNK: u64 = 4 << 20;
    let mut summary = Vec::new();
    for (path, metadata) in files {
        let failed = |e| Error::io("read", path, e);
        let file = File::open(path).map_err(failed)?;
        let len = metadata.len();
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
