//! The files that make up one model.

use std::path::{Path, PathBuf};

use super::{Bytes, GgufFile};
use crate::error::{Error, Result};
use crate::warnings::Warnings;

/// Name of the file that describes the architecture.
pub const CONFIG: &str = "config.json";
/// Name of the file that holds the tensors.
pub const MODEL: &str = "model.safetensors";
/// Name of the file that lists the file of each tensor, in a model of several files.
pub const SHARD_INDEX: &str = "model.safetensors.index.json";

/// The files of one model, in the layout of a Hugging Face repository.
///
/// The files are a directory, part of the program, or a GGUF file. A GGUF file's metadata take the
/// place of the repository's JSON files.
///
/// # Examples
/// ```
/// use tercet_formats::{CONFIG, ModelFiles};
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
/// let files = ModelFiles::open(folder.as_ref())?;
/// assert_eq!(files.name(), "bitnet-tiny");
/// assert!(files.get(CONFIG)?.starts_with(b"{"));
/// assert!(files.try_get("chat_template.jinja")?.is_none());
/// # Ok::<(), tercet_formats::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelFiles {
    name: String,
    place: Place,
    warnings: Warnings,
}

#[derive(Clone, Debug)]
enum Place {
    Directory(PathBuf),
    Embedded(&'static [(&'static str, &'static [u8])]),
    Gguf(Box<GgufFile>),
}

impl ModelFiles {
    /// Opens the model at `dir`: a GGUF file, or a directory with `config.json` and either
    /// `model.safetensors` or shards and their index.
    ///
    /// # Errors
    /// [`Error::Missing`] names an absent file. [`Error::Unsupported`] for files of another kind,
    /// and the errors of [`GgufFile::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        if dir.is_file() {
            return Self::open_file(dir);
        }
        if !dir.is_dir() {
            return Err(Error::missing(
                dir.display().to_string(),
                "give the directory that holds the model's config.json and model.safetensors",
            ));
        }
        let files = Self::at(directory_name(dir), Place::Directory(dir.to_owned()));
        files.require(CONFIG)?;
        files.require(SHARD_INDEX).or_else(|_| files.require(MODEL))?;
        Ok(files)
    }

    fn open_file(path: &Path) -> Result<Self> {
        if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("gguf")) {
            return Err(Error::unsupported(
                path.display().to_string(),
                "the model",
                "a single file",
                "a GGUF file, or the directory that holds config.json and model.safetensors",
            ));
        }
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self::in_gguf(name, GgufFile::open(Bytes::map(path)?, path.display().to_string())?))
    }

    /// Returns the model in a GGUF file.
    pub fn in_gguf(name: String, file: GgufFile) -> Self {
        Self::at(name, Place::Gguf(Box::new(file)))
    }

    /// Returns the GGUF file, if the model is one.
    pub(super) fn gguf(&self) -> Option<&GgufFile> {
        match &self.place {
            Place::Gguf(file) => Some(file),
            Place::Directory(_) | Place::Embedded(_) => None,
        }
    }

    /// Returns a model whose files are part of the program. `files` holds pairs of file name and
    /// contents.
    pub fn embedded(name: String, files: &'static [(&'static str, &'static [u8])]) -> Self {
        Self::at(name, Place::Embedded(files))
    }

    /// Returns the same files under another name.
    pub fn named(self, name: &str) -> Self {
        ModelFiles { name: name.to_owned(), ..self }
    }

    fn at(name: String, place: Place) -> Self {
        ModelFiles { name, place, warnings: Warnings::default() }
    }

    /// Adds a warning that the user of these files should see, in one line. A repeated one counts once.
    pub fn warn(&self, warning: impl Into<String>) {
        self.warnings.add(warning.into());
    }

    /// Returns the warnings that reading these files has caused so far, a line each.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.all()
    }

    /// Returns the model's name: its directory's or file's name, or the one given to
    /// [`ModelFiles::embedded`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of `file` in messages.
    pub fn label(&self, file: &str) -> String {
        match &self.place {
            Place::Directory(dir) => dir.join(file).display().to_string(),
            Place::Embedded(_) => format!("{} (embedded)/{file}", self.name),
            Place::Gguf(gguf) => format!("{} (read as {file})", gguf.label()),
        }
    }

    /// Returns the contents of `file`. Files of tensors are mapped, others are read.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such file, [`Error::Io`] if it cannot be read.
    pub fn get(&self, file: &str) -> Result<Bytes> {
        self.try_get(file)?.ok_or_else(|| self.missing(file))
    }

    /// Returns the contents of `file`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file exists and cannot be read, [`Error::BadArgument`] if `file` is
    /// more than a name.
    pub fn try_get(&self, file: &str) -> Result<Option<Bytes>> {
        // Names may come from model files, so they must not lead to another directory.
        if file.contains(['/', '\\']) || file == ".." {
            return Err(Error::bad_argument(file, "is not a plain file name", "use a name without folders"));
        }
        match &self.place {
            Place::Directory(dir) if !dir.join(file).exists() => Ok(None),
            Place::Directory(dir) if file.ends_with(".safetensors") => Bytes::map(&dir.join(file)).map(Some),
            Place::Directory(dir) => Bytes::read(&dir.join(file)).map(Some),
            Place::Embedded(files) => {
                Ok(files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| Bytes::from(*bytes)))
            }
            Place::Gguf(gguf) => Ok(gguf.json(file)?.map(|json| json.to_string().into_bytes().into())),
        }
    }

    /// Returns the files on disk that determine the weights, or `None` if the model is part of the
    /// program.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read.
    pub fn paths(&self) -> Result<Option<Vec<PathBuf>>> {
        let dir = match &self.place {
            Place::Directory(dir) => dir,
            Place::Embedded(_) => return Ok(None),
            Place::Gguf(gguf) => {
                let path = PathBuf::from(gguf.label());
                return Ok(path.is_file().then(|| vec![path]));
            }
        };
        let failed = |e| Error::io("read", dir, e);
        let mut paths = Vec::new();
        for entry in dir.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let text = name.to_string_lossy();
            if text == CONFIG || text.ends_with(".safetensors") || text.ends_with(".safetensors.index.json") {
                paths.push(dir.join(&name));
            }
        }
        paths.sort();
        Ok(Some(paths))
    }

    fn missing(&self, file: &str) -> Error {
        let remedy = match &self.place {
            Place::Gguf(_) => "use a file that has it: convert the model again, with its tokenizer",
            _ => "download all files of the model's repository into one directory",
        };
        Error::missing(self.label(file), remedy)
    }

    fn require(&self, file: &str) -> Result<()> {
        match &self.place {
            Place::Directory(dir) if !dir.join(file).exists() => Err(self.missing(file)),
            _ => Ok(()),
        }
    }
}

fn directory_name(dir: &Path) -> String {
    let absolute = dir.canonicalize();
    let dir = absolute.as_deref().unwrap_or(dir);
    dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn a_directory_is_opened_by_path() {
        let files = ModelFiles::open(&root().join("tests/fixtures/bitnet-tiny")).unwrap();
        assert_eq!(files.name(), "bitnet-tiny");
        assert!(files.label(CONFIG).ends_with("config.json"));
        assert_eq!(files.get(CONFIG).unwrap()[0], b'{');
        assert!(files.try_get("chat_template.jinja").unwrap().is_none());
        assert!(files.get("../bitnet-tiny/config.json").is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = |path: &str| ModelFiles::open(&root().join(path)).unwrap_err().to_string();
        assert!(message("nowhere").contains("nowhere: no such file"));
        assert!(message("src").contains("config.json: no such file"));
        assert!(message("Cargo.toml").contains("a single file"));
    }

    #[test]
    fn a_warning_is_kept_once_and_shared_by_clones() {
        let files = ModelFiles::embedded("tiny".into(), &[]);
        files.warn("the layers are zero");
        files.clone().warn("the layers are zero");
        files.clone().warn("the head is tied");
        assert_eq!(files.warnings(), ["the layers are zero", "the head is tied"]);
    }

    #[test]
    fn embedded_files_are_found_by_name() {
        let files = ModelFiles::embedded("tiny".into(), &[("config.json", b"{}")]);
        assert_eq!(&*files.get(CONFIG).unwrap(), b"{}");
        assert!(files.get(MODEL).unwrap_err().to_string().starts_with("tiny (embedded)/model.safetensors"));
    }
}
