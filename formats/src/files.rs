//! The files that make up one model.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{Bytes, Checkpoint, GgufFile, opening};
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
    /// Opens the model at `dir`: a GGUF file by any name, or any part of a split one; a directory with
    /// one GGUF file, or with `config.json` and either `model.safetensors` or shards and their index.
    ///
    /// # Errors
    /// [`Error::Missing`] names an absent file. [`Error::Unsupported`] for files of another kind and
    /// for several GGUF files, and the errors of [`GgufFile::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        if dir.is_file() {
            return Self::open_file(dir);
        }
        match dir.metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let problem = io::Error::other("neither a directory nor a regular file");
                return Err(Error::io("read", dir, problem));
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("read", dir, e)),
            Err(_) => {
                return Err(Error::missing(
                    dir.display().to_string(),
                    "give the directory that holds the model's config.json and model.safetensors",
                ));
            }
        }
        let files = Self::at(directory_name(dir), Place::Directory(dir.to_owned()));
        let weights = if has(dir, SHARD_INDEX)? { SHARD_INDEX } else { MODEL };
        for file in [CONFIG, weights] {
            if !has(dir, file)? {
                return match opening::gguf_in(dir)? {
                    Some(gguf) => Self::open_file(&gguf),
                    None => Err(files.missing(file)),
                };
            }
        }
        Ok(files)
    }

    fn open_file(path: &Path) -> Result<Self> {
        opening::expect_gguf(path)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        let name = GgufFile::part_of(&name).map_or(&*name, |(name, ..)| name).to_owned();
        Ok(Self::in_gguf(name, GgufFile::open_path(path)?))
    }

    /// Returns the model in a GGUF file.
    pub fn in_gguf(name: String, file: GgufFile) -> Self {
        let warnings = file.warnings.clone();
        ModelFiles { name, place: Place::Gguf(Box::new(file)), warnings }
    }

    /// Returns the GGUF file, if the model is one.
    pub(super) fn gguf(&self) -> Option<&GgufFile> {
        match &self.place {
            Place::Gguf(file) => Some(file),
            Place::Directory(_) | Place::Embedded(_) => None,
        }
    }

    /// Returns the files as programs other than Tercet read them: of a GGUF file, without the originals
    /// that a converter kept in it.
    pub fn as_others_read_them(&self) -> Self {
        let place = match self.place.clone() {
            Place::Gguf(gguf) => Place::Gguf(Box::new(gguf.without_kept())),
            place => place,
        };
        Self::at(self.name.clone(), place)
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
    /// [`Error::Io`] if the file exists and cannot be read, or the directory cannot be searched.
    /// [`Error::Malformed`] if the file is a link to nothing, a pointer of git-lfs or a web page,
    /// [`Error::BadArgument`] if `file` is more than a name.
    pub fn try_get(&self, file: &str) -> Result<Option<Bytes>> {
        check_plain(file)?;
        match &self.place {
            Place::Directory(dir) if !has(dir, file)? => Ok(None),
            Place::Directory(dir) => {
                let path = dir.join(file);
                let is_mapped = file.ends_with(".safetensors");
                let bytes = if is_mapped { Bytes::map(&path) } else { Bytes::read(&path) }?;
                opening::refuse_stand_in(&bytes, &self.label(file))?;
                Ok(Some(bytes))
            }
            Place::Embedded(files) => {
                Ok(files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| Bytes::from(*bytes)))
            }
            Place::Gguf(gguf) => {
                let json = gguf.json(file);
                gguf.check()?;
                Ok(json?.map(|json| json.to_string().into_bytes().into()))
            }
        }
    }

    /// Returns the files in `folder` whose names end with `extension`, in the order of their names. There are none if the
    /// model has no such folder.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or a file cannot be read, and the other errors of [`ModelFiles::try_get`].
    pub fn in_folder(&self, folder: &str, extension: &str) -> Result<Vec<(String, Bytes)>> {
        check_plain(folder)?;
        let mut found = Vec::new();
        match &self.place {
            Place::Directory(dir) if has(dir, folder)? => {
                let dir = dir.join(folder);
                let failed = |e| Error::io("read", &dir, e);
                for entry in dir.read_dir().map_err(failed)? {
                    let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
                    if name.ends_with(extension) && has(&dir, &name)? {
                        found.push((name.clone(), Bytes::read(&dir.join(name))?));
                    }
                }
            }
            Place::Embedded(files) => {
                for (path, bytes) in *files {
                    let name = path.strip_prefix(folder).and_then(|name| name.strip_prefix('/'));
                    if let Some(name) = name.filter(|name| name.ends_with(extension)) {
                        found.push((name.to_owned(), Bytes::from(*bytes)));
                    }
                }
            }
            Place::Directory(_) | Place::Gguf(_) => {}
        }
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(found)
    }

    /// Returns the files on disk that determine the weights, or `None` if the model is part of the
    /// program.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read.
    pub fn paths(&self) -> Result<Option<Vec<PathBuf>>> {
        self.paths_where(|name| {
            name == CONFIG || name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")
        })
    }

    /// Returns the files on disk that determine the text: those of the weights, the tokenizer, the chat template and the
    /// defaults. `None` if the model is part of the program.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read.
    pub fn all_paths(&self) -> Result<Option<Vec<PathBuf>>> {
        const ENDS: [&str; 5] = [".json", ".safetensors", ".jinja", ".model", ".txt"];
        self.paths_where(|name| ENDS.iter().any(|end| name.ends_with(end)))
    }

    fn paths_where(&self, wanted: impl Fn(&str) -> bool) -> Result<Option<Vec<PathBuf>>> {
        let dir = match &self.place {
            Place::Directory(dir) => dir,
            Place::Embedded(_) => return Ok(None),
            Place::Gguf(gguf) => {
                let paths: Vec<PathBuf> = gguf.labels().map(PathBuf::from).collect();
                return Ok(Some(paths).filter(|paths| paths.iter().all(|path| path.is_file())));
            }
        };
        let failed = |e| Error::io("read", dir, e);
        let mut paths = Vec::new();
        for entry in dir.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if wanted(&name.to_string_lossy()) {
                paths.push(dir.join(&name));
            }
        }
        paths.sort();
        Ok(Some(paths))
    }

    /// Returns true unless a file that is open already has been replaced by another one at its path.
    pub fn is_current(&self) -> bool {
        self.gguf().is_none_or(GgufFile::is_current)
    }

    fn missing(&self, file: &str) -> Error {
        let remedy = match &self.place {
            Place::Gguf(_) => "use a file that has it: convert the model again, with its tokenizer",
            _ => "download all files of the model's repository into one directory",
        };
        Error::missing(self.label(file), remedy)
    }
}

/// Requires that a name leads to no other directory: names may come from model files.
fn check_plain(name: &str) -> Result<()> {
    if name.contains(['/', '\\']) || name == ".." {
        return Err(Error::bad_argument(name, "is not a plain file name", "use a name without folders"));
    }
    Ok(())
}

/// Returns true if `dir` has an entry called `file`.
///
/// # Errors
/// [`Error::Malformed`] if the entry is a link to nothing, [`Error::Io`] if the answer is not known.
fn has(dir: &Path, file: &str) -> Result<bool> {
    let path = dir.join(file);
    let is_absent = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    match (path.metadata(), fs::read_link(&path)) {
        (Ok(_), _) => Ok(true),
        (Err(e), Ok(target)) if is_absent(&e) => {
            let problem = format!("leads to {}, which does not exist", target.display());
            let remedy = "download the model again, or delete the link";
            Err(Error::malformed(path.display().to_string(), "the link", problem, remedy))
        }
        (Err(e), _) if is_absent(&e) => Ok(false),
        (Err(e), _) => Err(Error::io("read", &path, e)),
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

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_read_is_not_an_absent_one() {
        use std::os::unix::fs::symlink;
        let dir = std::env::temp_dir().join(format!("tercet-links-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for file in [CONFIG, MODEL] {
            fs::copy(root().join("tests/fixtures/bitnet-tiny").join(file), dir.join(file)).unwrap();
        }
        let files = ModelFiles::open(&dir).unwrap();
        let message = |file: &str| files.try_get(file).unwrap_err().to_string();
        for file in ["generation_config.json", "chat_template.jinja", "model-00001-of-00002.safetensors"] {
            assert!(files.try_get(file).unwrap().is_none());
            symlink("gone", dir.join(file)).unwrap();
            assert!(message(file).contains("leads to gone, which does not exist"), "{}", message(file));
        }
        symlink("tokenizer.json", dir.join("tokenizer.json")).unwrap();
        assert!(message("tokenizer.json").starts_with("cannot read"), "{}", message("tokenizer.json"));
        fs::create_dir(dir.join("tokenizer_config.json")).unwrap();
        assert!(message("tokenizer_config.json").contains("not a regular file"));
        // The index of shards decides which file holds the weights.
        symlink("gone", dir.join(SHARD_INDEX)).unwrap();
        let unopened = ModelFiles::open(&dir).unwrap_err().to_string();
        fs::remove_dir_all(&dir).unwrap();
        assert!(unopened.contains("index.json") && unopened.contains("leads to gone"), "{unopened}");
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
