//! A directory that replaces another one in one step.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Staged, followed, parent, remains};
use crate::error::{Error, Result};

/// A directory that is being filled under a temporary name. Dropping the value deletes it.
#[derive(Debug)]
pub(crate) struct StagedDirectory(Staged);

impl StagedDirectory {
    /// Creates an empty directory that will appear at `target`. Links at `target` are followed.
    pub(crate) fn beside(target: &Path) -> Result<Self> {
        let create = || {
            let target = match target.canonicalize() {
                Ok(existing) => existing,
                Err(_) => followed(target)?,
            };
            fs::create_dir_all(parent(&target))?;
            Staged::directory(&target)
        };
        create().map(StagedDirectory).map_err(|e| Error::io("write", target, e))
    }

    /// Returns the directory to fill.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts the directory at its final place.
    ///
    /// A directory that is there already is replaced in one step. Its files stay in the new one,
    /// except those in `superseded`. New files have the modes of the old ones.
    ///
    /// # Errors
    /// [`Error::Io`] if anything fails. The old directory is then unchanged.
    pub(crate) fn publish(self, superseded: &[&str]) -> Result<()> {
        let target = self.0.target().to_owned();
        self.replace(superseded).map_err(|e| Error::io("write", &target, e))
    }

    fn replace(self, superseded: &[&str]) -> io::Result<()> {
        let (new, target) = (self.0.path(), self.0.target());
        if !target.try_exists()? {
            return self.0.publish();
        }
        adopt(target, new, superseded)?;
        fs::set_permissions(new, target.metadata()?.permissions())?;
        self.0.publish_by(|new, target| match exchange(new, target) {
            Err(e) if matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) => {
                exchange_by_renames(new, target)
            }
            outcome => outcome,
        })?;
        // Files that another program made in the old directory meanwhile.
        adopt(self.0.path(), self.0.target(), superseded)
    }
}

/// Gives `new` the entries of the directory `old` that it lacks, except `superseded` ones, and the
/// modes of the files that both have.
fn adopt(old: &Path, new: &Path, superseded: &[&str]) -> io::Result<()> {
    for entry in old.read_dir()? {
        let entry = entry?;
        let (from, to) = (entry.path(), new.join(entry.file_name()));
        if to.symlink_metadata().is_ok() {
            if entry.file_type()?.is_file() {
                fs::set_permissions(&to, entry.metadata()?.permissions())?;
            }
        } else if !superseded.iter().any(|name| entry.file_name() == *name) {
            link(&from, &to)?;
        }
    }
    Ok(())
}

/// Makes `to` the same as `from`: a second name of the same file, or a directory of such names. Where
/// there are no second names, it is a copy.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let found = from.symlink_metadata()?;
    if found.is_dir() {
        fs::create_dir(to)?;
        for entry in from.read_dir()? {
            let entry = entry?;
            link(&entry.path(), &to.join(entry.file_name()))?;
        }
        return fs::set_permissions(to, found.permissions());
    }
    match fs::hard_link(from, to) {
        Err(_) if found.is_file() => fs::copy(from, to).and_then(|_| File::open(to)?.sync_all()),
        outcome => outcome,
    }
}

/// Exchanges two directories in one step.
#[cfg(unix)]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(unix))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Exchanges two directories in several steps. If the process dies between them, the old one has a
/// name that [`remains::clear`] knows.
pub(super) fn exchange_by_renames(new: &Path, target: &Path) -> io::Result<()> {
    let aside = new.with_extension(remains::ASIDE);
    fs::rename(target, &aside)?;
    if let Err(e) = fs::rename(new, target) {
        fs::rename(&aside, target)?;
        return Err(e);
    }
    fs::rename(&aside, new)
}
