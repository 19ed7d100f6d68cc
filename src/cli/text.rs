//! Text files, and the predictions of their tokens.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::progress;
use tercet_engine::Cancel;
use tercet_engine::Error;
use tercet_engine::Model;
use tercet_engine::Session;
use tercet_engine::prediction::{Prediction, Windows};
use tercet_formats::Bytes;

/// A file of UTF-8 text.
pub(super) struct TextFile {
    path: PathBuf,
    text: String,
}

impl TextFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = Bytes::read(path)?.to_vec();
        let text =
            String::from_utf8(bytes).map_err(|e| bad_file(path, e.to_string(), "convert it to UTF-8"))?;
        Ok(TextFile { path: path.to_owned(), text })
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
