//! A text on the screen that grows during its generation.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use anyhow::Result;
use clap::builder::styling::Style;
use indicatif::ProgressBar;

use super::printable::printable;
use super::wrap::Wrap;
use super::{progress, report};

/// How a text is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Not at all, because it is part of a JSON value.
    Hidden,
    /// As it is, but a terminal shows symbols in the place of control characters, and breaks lines between words.
    Printable,
    /// As it is.
    Raw,
}

/// Standard output during one generation.
pub(super) struct Screen {
    look: Look,
    /// Text that precedes the generated text; empty once written.
    lead: String,
    dim: Style,
    wrap: Option<Wrap>,
    /// Runs during prefill.
    spinner: ProgressBar,
    failure: io::Result<()>,
}

impl Screen {
    /// Creates a screen where the text follows `lead`. A terminal shows `lead` dimmed.
    pub(super) fn new(look: Look, lead: &str) -> Self {
        let look = if look == Look::Printable && !io::stdout().is_terminal() { Look::Raw } else { look };
        Screen {
            look,
            lead: lead.to_owned(),
            dim: report::on_terminal(&io::stdout(), Style::new().dimmed()),
            wrap: if look == Look::Printable { Wrap::for_stdout() } else { None },
            spinner: progress::spinner("reading the prompt"),
            failure: Ok(()),
        }
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
        if self.look == Look::Hidden {
            return Ok(());
        }
        let lead = std::mem::take(&mut self.lead);
        let mut text = self.shown(&lead);
        if !text.is_empty() {
            text = format!("{0}{text}{0:#}", self.dim);
        }
        text += &self.shown(piece);
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Returns the part of the text so far that can be shown now.
    fn shown(&mut self, piece: &str) -> String {
        let piece = if self.look == Look::Printable { printable(piece) } else { piece.into() };
        match &mut self.wrap {
            Some(wrap) => wrap.push(&piece),
            None => piece.into_owned(),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}
