//! Models from the hub, and what the user sees of a download.

use std::path::PathBuf;

use indicatif::{HumanBytes, ProgressBar};

use super::{progress, report};
use crate::error::Result;
use crate::formats::ModelFiles;
use crate::hub::{Hub, Progress};
use crate::{embedded, knobs};

/// The files of `model`, which may be the path, name or repository of one; or else those of `TERCET_MODEL`, or of the model
/// inside this program. Downloads are shown on standard error.
///
/// # Errors
/// Fails if there is no such model, or it cannot be downloaded.
pub fn open_model(model: Option<PathBuf>) -> Result<ModelFiles> {
    let model = match model.or_else(knobs::model) {
        Some(model) if !embedded::is_fairy_tales(&model) => model,
        _ => return Ok(embedded::fairy_tales()),
    };
    let mut shown = Shown::default();
    let files = hub()?.open(&model, &mut |progress| shown.tell(progress));
    shown.end();
    files
}

/// The hub as the environment says.
pub(super) fn hub() -> Result<Hub> {
    Hub::new(knobs::hub_options()?)
}

/// A note and a bar for every file that takes a while.
#[derive(Default)]
struct Shown {
    file: String,
    bar: Option<ProgressBar>,
}

impl Shown {
    fn tell(&mut self, progress: Progress<'_>) {
        const LARGE: u64 = 1 << 20;
        let (file, done, size) = match progress {
            Progress::Waiting(file) => {
                return report::note(format_args!("waiting for another process that downloads {file}"));
            }
            Progress::Bytes { file, done, size } => (file, done, size),
        };
        if self.file != file {
            self.end();
            file.clone_into(&mut self.file);
            if size >= LARGE {
                let here = if done > 0 { format!(", {} here", HumanBytes(done)) } else { String::new() };
                report::note(format_args!("downloading {file} ({}{here})", HumanBytes(size)));
                self.bar = Some(progress::bytes(size));
            }
        }
        self.bar.iter().for_each(|bar| bar.set_position(done));
    }

    fn end(&mut self) {
        self.bar.take().iter().for_each(ProgressBar::finish_and_clear);
    }
}
