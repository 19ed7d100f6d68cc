//! What a path holds that is given as a model: a GGUF file, or something else that people have.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::GgufFile;
use crate::error::{Error, Result};

const MODEL_PLACES: &str = "a GGUF file, or the folder that holds config.json and model.safetensors";

/// The first bytes of a file, enough to recognise its kind.
struct Beginning(Vec<u8>);

impl Beginning {
    const LENGTH: u64 = 512;

    fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(Self::LENGTH).read_to_end(&mut bytes));
        read.map_err(|e| Error::io("read", path, e))?;
        Ok(Beginning(bytes))
    }

    fn is_gguf(&self) -> bool {
        self.0.starts_with(b"GGUF")
    }

    /// Returns the kind of a file that is no model by itself, and the way to one.
    fn kind(&self) -> Option<(&'static str, &'static str)> {
        const CONVERT: &str = "the model's safetensors files, or its GGUF file";
        let bytes = &self.0[..];
        let kinds: [(bool, &str, &str); 8] = [
            (bytes.is_empty(), "an empty file", "the whole file: download it again"),
            (bytes.starts_with(b"PK\x03\x04"), "a ZIP archive or a PyTorch checkpoint", CONVERT),
            (matches!(bytes, [0x80, 2..=5, ..]), "a PyTorch checkpoint (pickle)", CONVERT),
            (bytes.get(257..262) == Some(b"ustar"), "a tar archive", "the files in it: unpack it"),
            (bytes.starts_with(&[0x1F, 0x8B]), "compressed by gzip", "the file in it: unpack it"),
            (
                ["ggml", "lmgg", "fmgg", "tjgg"].iter().any(|magic| bytes.starts_with(magic.as_bytes())),
                "in the format before GGUF",
                "a newer GGUF file of the model",
            ),
            (
                bytes.get(4..9) == Some(b"\0\0\0\0{"),
                "one safetensors file",
                "the folder that holds it and config.json",
            ),
            (bytes.starts_with(b"{"), "a JSON file", "the folder that holds it and model.safetensors"),
        ];
        kinds.into_iter().find_map(|(is, found, expected)| is.then_some((found, expected)))
    }
}

/// Returns true if the file at `path` is a GGUF file. Its name does not matter: ollama's have no
/// extension.
///
/// # Errors
/// [`Error::Unsupported`] names the kind of any other file. A file that is only called GGUF is left
/// to the reader of GGUF, which names its fault.
pub(super) fn expect_gguf(path: &Path) -> Result<()> {
    let beginning = Beginning::read(path)?;
    let label = path.display().to_string();
    refuse_stand_in(&beginning.0, &label)?;
    if beginning.is_gguf() {
        return Ok(());
    }
    match beginning.kind() {
        Some((found, expected)) => Err(Error::unsupported(label, "the model", found, expected)),
        None if is_called_gguf(path) => Ok(()),
        None => Err(Error::unsupported(label, "the model", "a single file of an unknown kind", MODEL_PLACES)),
    }
}

/// Refuses a file that stands in for the wanted one: a pointer of git-lfs, or a web page.
///
/// # Errors
/// [`Error::Malformed`] calls the file `label`.
pub(super) fn refuse_stand_in(bytes: &[u8], label: &str) -> Result<()> {
    let text = bytes[..bytes.len().min(64)].trim_ascii_start().to_ascii_lowercase();
    let (found, remedy) = if text.starts_with(b"version https://git-lfs.github.com/") {
        ("are a pointer of git-lfs, not the file itself", "run `git lfs pull` in its folder")
    } else if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        ("are a web page, not the file itself", "download the file again, from a link with /resolve/")
    } else {
        return Ok(());
    };
    Err(Error::malformed(label, "the contents", found, remedy))
}

/// Returns the one GGUF file in `dir`, if there is one.
///
/// # Errors
/// [`Error::Unsupported`] names the files if there are several, [`Error::Io`] if the directory cannot
/// be read.
pub(super) fn gguf_in(dir: &Path) -> Result<Option<PathBuf>> {
    let failed = |e| Error::io("read", dir, e);
    let mut found = Vec::new();
    for entry in dir.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_called_gguf(&path) && !is_later_part(&path) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    match &found[..] {
        [] => Ok(None),
        [_] => Ok(found.pop()),
        several => {
            let names = several.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy());
            let names = names.collect::<Vec<_>>().join(", ");
            let found = format!("one of {} GGUF files ({names})", several.len());
            Err(Error::unsupported(dir.display().to_string(), "the model", found, "the path of one of them"))
        }
    }
}

fn is_called_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// Returns true for part 2 and later of a model in parts, such as `m-00002-of-00003.gguf`.
fn is_later_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    GgufFile::part_of(&name).is_some_and(|(_, number, _)| number > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CONFIG, ModelFiles};

    /// Opens a file with the given contents as a model, and returns the message.
    fn refusal(name: &str, contents: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        let error = ModelFiles::open(&path).unwrap_err();
        assert!(error.is_bad_input());
        error.to_string()
    }

    const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    const PAGE: &[u8] = b"\n<!DOCTYPE html><html></html>";

    #[test]
    fn a_file_that_is_no_model_is_called_what_it_is() {
        let tar = [&[b'm'; 257][..], b"ustar\0", &[0; 300]].concat();
        for (name, contents, part) in [
            ("m.gguf", LFS, "git lfs pull"),
            ("m.safetensors", PAGE, "web page"),
            ("m.gguf", b"", "an empty file"),
            ("m.zip", b"PK\x03\x04rest", "ZIP archive"),
            ("pytorch_model.bin", b"PK\x03\x04rest", "PyTorch checkpoint"),
            ("m.pt", &[0x80, 2, 0x8A, 0x0A], "PyTorch checkpoint (pickle)"),
            ("m.tar", &tar, "tar archive"),
            ("m.gguf.gz", &[0x1F, 0x8B, 8, 0], "gzip"),
            ("m.bin", b"tjgg\x01\0\0\0", "before GGUF"),
            ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}", "the folder that holds it and config.json"),
            ("config.json", b"{}", "the folder that holds it and model.safetensors"),
            ("notes.txt", b"hello", "a single file of an unknown kind"),
        ] {
            let message = refusal(name, contents);
            assert!(message.contains(name) && message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn a_stand_in_for_a_file_of_a_model_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in [CONFIG, "model.safetensors", "tokenizer.json"] {
            std::fs::write(folder.path().join(name), b"{}").unwrap();
        }
        let files = ModelFiles::open(folder.path()).unwrap();
        for (name, contents, part) in [(CONFIG, PAGE, "web page"), ("tokenizer.json", LFS, "git lfs pull")] {
            std::fs::write(folder.path().join(name), contents).unwrap();
            let message = files.get(name).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn gguf_is_known_by_its_contents_and_in_a_folder() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf");
        let bytes = std::fs::read(fixtures.join("rope.gguf")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), &bytes).unwrap();
        write("sha256-0123");
        assert_eq!(ModelFiles::open(&folder.path().join("sha256-0123")).unwrap().name(), "sha256-0123");
        let message = ModelFiles::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("config.json: no such file"), "{message}");
        write("ggml-model-i2_s.gguf");
        write(CONFIG);
        assert_eq!(ModelFiles::open(folder.path()).unwrap().name(), "ggml-model-i2_s");
        write("another.gguf");
        let message = ModelFiles::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("2 GGUF files (another.gguf, ggml-model-i2_s.gguf)"), "{message}");
    }

    #[test]
    fn later_parts_of_a_model_are_no_models() {
        for (name, is_later) in [
            ("m-00001-of-00002.gguf", false),
            ("m-00002-of-00002.gguf", true),
            ("best-of-2.gguf", false),
            ("m.gguf", false),
        ] {
            assert_eq!(is_later_part(Path::new(name)), is_later, "{name}");
        }
    }
}
