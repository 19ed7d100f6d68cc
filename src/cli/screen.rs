//! A text on the screen that grows during its generation.

use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::builder::styling::Style;
use indicatif::ProgressBar;

use super::{progress, report};

/// Standard output during one generation. With JSON it shows nothing.
pub(super) struct Screen {
    visible: bool,
    /// Text that precedes the generated text; empty once written.
    lead: String,
    /// Runs during prefill.
    spinner: ProgressBar,
    failure: io::Result<()>,
}

impl Screen {
    /// Creates a screen where the text follows `lead`. A terminal shows `lead` dimmed.
    pub(super) fn new(visible: bool, lead: &str) -> Self {
        let dim = report::on_terminal(&io::stdout(), Style::new().dimmed());
        let lead = if lead.is_empty() { String::new() } else { format!("{dim}{lead}{dim:#}") };
        Screen { visible, lead, spinner: progress::spinner("reading the prompt"), failure: Ok(()) }
    }

    /// Shows the next piece of text. Breaks if the reader has closed the output.
    pub(super) fn show(&mut self, piece: &str) -> ControlFlow<()> {
        self.failure = self.write(piece);
        if self.failure.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Ends the line.
    ///
    /// # Errors
    /// Returns the first failure to write.
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
