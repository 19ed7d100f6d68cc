//! Progress on standard error while a model is opened.

use std::path::Path;

use indicatif::ProgressBar;

use super::{config, progress, report};
use tercet_engine::{Loading, OpenProgress, Result, Size};
use tercet_formats::ModelFiles;

/// Opens the files of `model`, or else the default model, and shows downloads.
pub(super) fn open_model(model: Option<&Path>) -> Result<ModelFiles> {
    let (model, mut steps) = (config::model(model)?, Steps::default());
    tercet_engine::open_model(model.as_deref(), &mut |download| steps.show(Loading::Download(download)))
}

/// Shows the steps of opening a model one at a time, with a bar or spinner. Long steps also cause a note.
#[derive(Default)]
pub(super) struct Steps {
    /// The current download.
    file: String,
    bar: Option<ProgressBar>,
}

impl Steps {
    pub(super) fn show(&mut self, step: Loading<'_>) {
        match step {
            Loading::Download(download) => self.download(download),
            Loading::Tuning { model, budget, done, total } => {
                if done == 0 {
                    let seconds = budget.as_secs();
                    report::note(format_args!(
                        "tuning {model} for this machine, once, for {seconds} s (--no-tune: never)"
                    ));
                    self.replace(Some(progress::bar("tuning", total)));
                }
                self.bar.iter().for_each(|bar| bar.set_position(done as u64));
            }
            Loading::Model(name) => self.replace(Some(progress::spinner(format!("loading {name}")))),
            Loading::Warning(warning) => report::note(format_args!("warning: {warning}")),
        }
    }

    fn download(&mut self, download: OpenProgress<'_>) {
        /// Smaller downloads are not shown.
        const LARGE: u64 = 1_000_000;
        let (file, done, size) = match download {
            OpenProgress::Asking(hub) => {
                return self.replace(Some(progress::spinner(format!("asking {hub} for the model's files"))));
            }
            OpenProgress::Waiting(file) => {
                return report::note(format_args!("waiting for another process that downloads {file}"));
            }
            OpenProgress::Bytes { file, done, size } => (file, done, size),
        };
        if self.file != file {
            self.replace(None);
            file.clone_into(&mut self.file);
            if size >= LARGE {
                let here = if done > 0 { format!(", {} here", Size(done)) } else { String::new() };
                report::note(format_args!("downloading {file} ({}{here})", Size(size)));
                self.bar = Some(progress::bytes(size));
            }
        }
        self.bar.iter().for_each(|bar| bar.set_position(done));
    }

    fn replace(&mut self, bar: Option<ProgressBar>) {
        std::mem::replace(&mut self.bar, bar).iter().for_each(ProgressBar::finish_and_clear);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.replace(None);
    }
}
