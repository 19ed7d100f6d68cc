//! Models from the hub, and what the user sees of a download.

use std::path::Path;

use indicatif::{HumanBytes, ProgressBar};

use super::{progress, report};
use tercet_engine::Result;
use tercet_formats::ModelFiles;
use tercet_hub::{Hub, HubOptions, Progress};

/// Opens `model` as the engine does, and shows downloads on standard error.
pub(super) fn open_model(model: Option<&Path>) -> Result<ModelFiles> {
    let mut shown = Shown::default();
    let files = tercet_engine::open_model(model, &mut |progress| shown.tell(progress));
    shown.end();
    files
}

/// The hub as the environment says.
pub(super) fn hub() -> Result<Hub> {
    Ok(Hub::new(HubOptions::from_environment()?)?)
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
