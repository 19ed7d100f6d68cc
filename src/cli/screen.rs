//! A text that appears as it is produced.

use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::builder::styling::Style;
use indicatif::ProgressBar;

use super::{interrupt, progress, report};

/// Standard output during one generation; with JSON, a place that shows nothing.
pub(super) struct Screen {
    visible: bool,
    /// What comes before the text, until it has been written.
    lead: String,
    /// Turns while the prompt is read.
    spinner: ProgressBar,
    failure: io::Result<()>,
}

impl Screen {
    /// A screen on which the text follows `lead`, which is dimmed on a terminal.
    pub(super) fn new(visible: bool, lead: &str) -> Self {
        let dim = report::on_terminal(&io::stdout(), Style::new().dimmed());
        let lead = if lead.is_empty() { String::new() } else { format!("{dim}{lead}{dim:#}") };
        Screen { visible, lead, spinner: progress::spinner("reading the prompt"), failure: Ok(()) }
    }

    /// Shows the next piece of text, and asks to stop after Ctrl-C or if nobody reads on.
    pub(super) fn show(&mut self, piece: &str) -> ControlFlow<()> {
        self.failure = self.write(piece);
        if self.failure.is_err() || interrupt::pressed() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Ends the line.
    ///
    /// # Errors
    /// The first failure to write.
    pub(super) fn end(mut self) -> io::Result<()> {
        std::mem::replace(&mut self.failure, Ok(()))?;
        self.write("\n")
    }

    fn write(&mut self, piece: &str) -> io::Result<()> {
        self.spinner.finish_and_clear();
        if !self.visible {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(std::mem::take(&mut self.lead).as_bytes())?;
        stdout.write_all(piece.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}
