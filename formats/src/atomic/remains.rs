//! Temporary names, and what killed processes left under them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::parent;

/// Ends the names of unfinished files and directories.
pub(super) const UNFINISHED: &str = "tmp";
/// Ends the names of old directories that were moved aside, to make place for new ones.
pub(super) const ASIDE: &str = "old";

/// Returns the temporary name of this process for `target`.
///
/// # Errors
/// Fails if `target` ends in no name, such as `..`.
pub(super) fn name(target: &Path, call: u32, end: &str) -> io::Result<PathBuf> {
    let prefix = prefix(target).ok_or(io::ErrorKind::InvalidFilename)?;
    Ok(parent(target).join(format!("{prefix}{}-{call}.{end}", std::process::id())))
}

/// Deletes what dead processes left beside `target`. An old directory that was moved aside returns
/// if nothing took its place.
pub(super) fn clear(target: &Path) {
    let Some(prefix) = prefix(target) else { return };
    for entry in parent(target).read_dir().into_iter().flatten().flatten() {
        let Some((process, end)) = entry.file_name().to_str().and_then(|name| parse(name, &prefix)) else {
            continue;
        };
        let path = entry.path();
        if is_in_use(&path, process) {
            continue;
        }
        // A failure concerns nobody: the remains stay, and the next process tries again.
        if end == ASIDE && !target.exists() {
            let _ = fs::rename(&path, target);
        } else {
            delete(&path);
        }
    }
}

/// Deletes the file or directory at `path`, if there is one. Nobody can use its contents, so a failure
/// is not reported.
pub(super) fn delete(path: &Path) {
    let _ = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
}

/// Returns how all temporary names for `target` begin. Long names are cut, since there is a limit.
fn prefix(target: &Path) -> Option<String> {
    let name: String = target.file_name()?.to_string_lossy().chars().take(50).collect();
    Some(format!(".{name}."))
}

/// Returns the process id and the end of a temporary name.
fn parse(name: &str, prefix: &str) -> Option<(u32, &'static str)> {
    let (number, end) = name.strip_prefix(prefix)?.split_once('.')?;
    let (process, call) = number.split_once('-')?;
    call.parse::<u32>().ok()?;
    let end = [UNFINISHED, ASIDE].into_iter().find(|known| *known == end)?;
    Some((process.parse().ok()?, end))
}

/// Returns true if a process may still use `path`. A lock tells so across containers, where process
/// ids mean nothing. A living process id tells so where locks do not work.
fn is_in_use(path: &Path, process: u32) -> bool {
    let is_plain = path.symlink_metadata().is_ok_and(|found| found.is_file() || found.is_dir());
    let is_other = process != std::process::id();
    !is_plain || is_other && is_alive(process) || File::open(path).is_ok_and(|file| file.try_lock().is_err())
}

#[cfg(unix)]
fn is_alive(process: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return false };
    test_kill_process(process) != Err(rustix::io::Errno::SRCH)
}

#[cfg(not(unix))]
fn is_alive(_process: u32) -> bool {
    true
}
