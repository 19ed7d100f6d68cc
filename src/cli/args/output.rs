//! The form of the results.

use clap::Args;

use crate::cli::screen::Look;

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct OutputArgs {
    /// Print the results as JSON
    ///
    /// One JSON value on one line is all that standard output then gets. Notes and errors go to
    /// standard error as usual.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct TextArgs {
    /// Write the control characters of the text to the terminal, such as colours
    ///
    /// By default the terminal shows a symbol in the place of each. Files and pipes get the text as it is.
    #[arg(long, hide_short_help = true)]
    raw: bool,
}

impl TextArgs {
    /// Returns how the text is shown.
    pub(in crate::cli) fn look(self) -> Look {
        if self.raw { Look::Raw } else { Look::Printable }
    }
}
