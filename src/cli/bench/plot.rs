//! `--plot`: the results as an SVG picture.

mod axis;
mod chart;
mod kernels;
mod labels;
mod model;
mod roofs;
mod svg;

use std::path::Path;

use tercet_engine::{Error, Result};

pub(super) use kernels::draw as of_kernels;
pub(super) use model::draw as of_model;

/// Checks before a measurement that `path` can be a file.
///
/// # Errors
/// Fails if `path` is a directory, or if its directory does not exist.
pub(super) fn check(path: &Path) -> Result<()> {
    let refuse = |problem: &str| {
        let problem = format!("{}: {problem}", path.display());
        Err(Error::bad_argument("plot", problem, "name a file in an existing directory"))
    };
    let folder = path.parent().map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    match folder {
        _ if path.is_dir() => refuse("is a directory"),
        Some(folder) if folder.is_dir() => Ok(()),
        _ => refuse("no such directory"),
    }
}

/// Writes the file completely or not at all.
///
/// # Errors
/// Fails if the system refuses to write the file.
pub(super) fn write(path: &Path, picture: &str) -> Result<()> {
    Ok(tercet_formats::write_output(path, |file| file.write_all(picture.as_bytes()))?)
}
