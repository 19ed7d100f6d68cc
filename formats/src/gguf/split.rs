//! Models in several GGUF files, `NAME-00001-of-00003.gguf` and so on, as llama.cpp's `gguf-split`
//! writes them. The first part has the metadata.

use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use super::{DAMAGED, GgufFile};
use crate::Bytes;
use crate::error::{Error, Result};

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";

impl GgufFile {
    /// Opens the model in the file at `path`. If the file is a part of a model, opens all parts, which
    /// must be in the same folder.
    ///
    /// # Errors
    /// [`Error::Missing`] names a missing part, [`Error::Malformed`] a part of another model. Also
    /// the errors of [`GgufFile::open`].
    pub fn open_path(path: &Path) -> Result<Self> {
        let file = Self::map(path)?;
        let count = file.metadata.unsigned(COUNT)?.unwrap_or(1);
        if count <= 1 {
            return Ok(file);
        }
        let number = file.number()?;
        let paths = part_paths(path, number, count).ok_or_else(|| {
            let problem = format!("the file is part {} of {count}, and its name is another", number + 1);
            let remedy = format!("name it like NAME{}", suffix(number, count));
            Error::malformed(file.label(), NUMBER, problem, remedy)
        })?;
        let mut paths = paths.into_iter();
        let mut whole = paths.next().map_or(Ok(file), |first| open_part(&first, 0, count))?;
        for (number, path) in (1..).zip(paths) {
            whole.append(open_part(&path, number, count)?)?;
        }
        whole.check_whole()?;
        Ok(whole)
    }

    /// Returns the model's name, the part's number and the number of parts, if `file` is the name of one
    /// of several parts. The name may lack its extension.
    ///
    /// # Examples
    /// ```
    /// use tercet_formats::GgufFile;
    ///
    /// assert_eq!(GgufFile::part_of("m-00001-of-00003.gguf"), Some(("m", 1, 3)));
    /// assert_eq!(GgufFile::part_of("m-1-of-3.gguf"), None);
    /// ```
    pub fn part_of(file: &str) -> Option<(&str, u32, u32)> {
        let number = |text: &str| (text.len() == 5).then(|| text.parse().ok()).flatten();
        let (rest, count) = file.strip_suffix(".gguf").unwrap_or(file).rsplit_once("-of-")?;
        let (name, part) = rest.rsplit_once('-')?;
        Some((name, number(part)?, number(count)?))
    }

    fn map(path: &Path) -> Result<Self> {
        Self::open(Bytes::map(path)?, path.display().to_string())
    }

    fn number(&self) -> Result<u64> {
        let number = self.metadata.unsigned(NUMBER)?;
        number.ok_or_else(|| self.metadata.malformed(NUMBER, "is missing"))
    }

    /// Adds the tensors of `part`.
    fn append(&mut self, part: GgufFile) -> Result<()> {
        let number = self.parts.len();
        self.parts.extend(part.parts);
        for (name, tensor) in part.tensors {
            match self.tensors.entry(name) {
                Entry::Vacant(place) => _ = place.insert(super::Tensor { part: number, ..tensor }),
                Entry::Occupied(place) => {
                    let label = &self.parts[number].label;
                    let problem = "an earlier part has this tensor too";
                    return Err(Error::malformed(label, place.key(), problem, DAMAGED));
                }
            }
        }
        Ok(())
    }

    /// Checks that all tensors are here, if the file says how many there are.
    ///
    /// # Errors
    /// [`Error::Malformed`] otherwise.
    pub(super) fn check_whole(&self) -> Result<()> {
        let here = self.tensors.len();
        match self.metadata.unsigned(TENSORS)? {
            Some(count) if count != here as u64 => {
                let problem = format!("the model has {count} tensors, {here} are here");
                Err(Error::malformed(self.label(), TENSORS, problem, "download all parts into one folder"))
            }
            _ => Ok(()),
        }
    }
}

/// Opens part `number` of `count`, counted from 0.
fn open_part(path: &Path, number: u64, count: u64) -> Result<GgufFile> {
    if !path.exists() {
        let remedy = format!("download all {count} parts of the model into one folder");
        return Err(Error::missing(path.display().to_string(), remedy));
    }
    let part = GgufFile::map(path)?;
    let found = (part.number()?, part.metadata.unsigned(COUNT)?.unwrap_or(1));
    if found == (number, count) {
        return Ok(part);
    }
    let problem = format!("the file says that it is part {} of {}", found.0.saturating_add(1), found.1);
    Err(Error::malformed(part.label(), NUMBER, problem, "download all parts of one model into one folder"))
}

/// Returns the end of the name of part `number`, counted from 0.
fn suffix(number: u64, count: u64) -> String {
    format!("-{:05}-of-{count:05}.gguf", number.saturating_add(1))
}

/// Returns the paths of all parts, given the one of part `number`. Returns `None` if its name is not
/// that of such a part.
fn part_paths(path: &Path, number: u64, count: u64) -> Option<Vec<PathBuf>> {
    /// As many as the names have room for.
    const MOST: u64 = 99_999;
    let stem = path.file_name()?.to_str()?.strip_suffix(&suffix(number, count))?;
    let part = |number| path.with_file_name(format!("{stem}{}", suffix(number, count)));
    (count <= MOST && number < count).then(|| (0..count).map(part).collect())
}
