//! The model inside the program, so that the command writes text wherever it is started.

use tercet_fairy_tales::{FILES, NAME};
use tercet_formats::ModelFiles;

/// A small BitNet that was trained on fairy tales; `models/fairy-tales/README.md` is its card.
pub fn fairy_tales() -> ModelFiles {
    ModelFiles::embedded(NAME.to_owned(), FILES)
}
