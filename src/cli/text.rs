//! Text files, and the predictions of their tokens.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::progress;
use tercet_engine::Cancel;
use tercet_engine::Error;
use tercet_engine::Model;
use tercet_engine::Session;
use tercet_engine::Size;
use tercet_engine::prediction::{Prediction, Windows};
use tercet_formats::Bytes;

/// Bytes of a text on standard input that no context holds. A stream without an end is refused here.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// Reads the whole text on standard input, as `name`.
///
/// # Errors
/// Fails if it cannot be read, is not UTF-8 or has more than [`MOST_BYTES`].
pub(super) fn from_stdin(name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_long(name).into());
    }
    let text = String::from_utf8(bytes);
    Ok(text.map_err(|_| Error::bad_argument(name, "standard input is not UTF-8", "convert it to UTF-8"))?)
}

/// Reads the text in the file `path`.
///
/// # Errors
/// Fails if it is no regular file, cannot be read, or is not UTF-8.
pub(super) fn from_file(path: &Path) -> Result<String> {
    let bytes = Bytes::read(path)?.to_vec();
    Ok(String::from_utf8(bytes).map_err(|e| bad_file(path, e.to_string(), "convert it to UTF-8"))?)
}

/// Returns the error of a text with more than [`MOST_BYTES`].
pub(super) fn too_long(name: impl Into<String>) -> Error {
    let problem = format!("it has more than {}", Size(MOST_BYTES));
    Error::bad_argument(name, problem, "give a shorter text")
}

/// A file of UTF-8 text.
pub(super) struct TextFile {
    path: PathBuf,
    text: String,
}

impl TextFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        Ok(TextFile { path: path.to_owned(), text: from_file(path)? })
    }

    /// Returns the tokens of the text, without special tokens.
    pub(super) fn tokens(&self, session: &Session) -> Result<Vec<u32>> {
        let ids = session.tokenizer().encode(&self.text, false)?;
        if ids.is_empty() {
            let problem = "there are no tokens to predict";
            return Err(bad_file(&self.path, problem, "give a file with text").into());
        }
        Ok(ids)
    }
}

/// Predicts each of `ids` with `model`, under a progress bar named `name`.
pub(super) fn predict(
    name: &'static str,
    windows: &Windows,
    model: &Model,
    ids: &[u32],
) -> Result<Vec<Prediction>> {
    let bar = progress::bar(name, ids.len());
    let predictions = windows.predict(model, ids, &Cancel::new(), |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(predictions)
}

fn bad_file(path: &Path, problem: impl Into<String>, remedy: &str) -> Error {
    Error::malformed(path.display().to_string(), "the text", problem, remedy)
}
