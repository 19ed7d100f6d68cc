//! A text on the screen that grows during its generation.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use anyhow::Result;
use clap::builder::styling::Style;
use indicatif::ProgressBar;

use super::printable::printable;
use super::{progress, report};

/// How a text is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Not at all, because it is part of a JSON value.
    Hidden,
    /// As it is, but a terminal shows symbols in the place of control characters.
    Printable,
    /// As it is.
    Raw,
}

/// Standard output during one generation.
pub(super) struct Screen {
    look: Look,
    /// Text that precedes the generated text; empty once written.
    lead: String,
    /// Runs during prefill.
    spinner: ProgressBar,
    failure: io::Result<()>,
}

impl Screen {
    /// Creates a screen where the text follows `lead`. A terminal shows `lead` dimmed.
    pub(super) fn new(look: Look, lead: &str) -> Self {
        let look = if look == Look::Printable && !io::stdout().is_terminal() { Look::Raw } else { look };
        let dim = report::on_terminal(&io::stdout(), Style::new().dimmed());
        let lead = if look == Look::Printable { printable(lead) } else { lead.into() };
        let lead = if lead.is_empty() { String::new() } else { format!("{dim}{lead}{dim:#}") };
        Screen { look, lead, spinner: progress::spinner("reading the prompt"), failure: Ok(()) }
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
    pub(super) fn end(mut self) -> Result<()> {
        let failure = std::mem::replace(&mut self.failure, Ok(()));
        failure.and_then(|()| self.write("\n")).map_err(report::failed_output)
    }

    fn write(&mut self, piece: &str) -> io::Result<()> {
        self.spinner.finish_and_clear();
        let piece = match self.look {
            Look::Hidden => return Ok(()),
            Look::Printable => printable(piece),
            Look::Raw => piece.into(),
        };
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
