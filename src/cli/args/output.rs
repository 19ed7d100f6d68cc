//! The form of the results.

use clap::Args;

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
