//! Files and directories that appear complete or not at all.

mod directory;
mod remains;
mod staged;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub(crate) use directory::StagedDirectory;
pub(crate) use staged::Staged;

/// Writes an output that the user has named, completely or not at all.
///
/// A link is followed, and the file that it leads to is replaced. The new file has the old one's
/// mode. A device or pipe is written to directly.
///
/// # Errors
/// [`Error::Io`] if anything fails. The old file is then unchanged.
pub fn write_output(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let write = || {
        let output = Output::at(path)?;
        fill_file(output.handle(), fill)?;
        output.publish()
    };
    write().map_err(|e| Error::io("write", path, e))
}

/// The place of an output that the user has named.
pub(crate) enum Output {
    /// A regular file, or none yet.
    File(Staged),
    /// A device or pipe.
    Stream(File),
}

impl Output {
    /// Returns the open file, device or pipe.
    pub(crate) fn handle(&self) -> &File {
        match self {
            Output::File(staged) => staged.handle(),
            Output::Stream(file) => file,
        }
    }

    /// Puts a regular file at its final place.
    pub(crate) fn publish(self) -> io::Result<()> {
        match self {
            Output::File(staged) => staged.publish(),
            Output::Stream(_) => Ok(()),
        }
    }

    /// Follows links at `path`, and prepares to write there.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        match path.metadata() {
            Ok(found) if !found.is_file() => File::options().write(true).open(path).map(Output::Stream),
            found => {
                let staged = Staged::file(&followed(path)?)?;
                if let Ok(found) = found {
                    staged.handle().set_permissions(found.permissions())?;
                }
                Ok(Output::File(staged))
            }
        }
    }
}

/// Brings back an old output at `path`, if a process died while it replaced it.
pub(crate) fn recover(path: &Path) {
    if let Ok(path) = followed(path) {
        remains::clear(&path);
    }
}

fn fill_file(file: &File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer)?;
    writer.flush()
}

/// Returns the place that `path` leads to through links. It may not exist yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    // Linux's own limit.
    const LONGEST_CHAIN: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LONGEST_CHAIN {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("too many levels of links"))
}

/// Returns the directory that holds `path`.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
