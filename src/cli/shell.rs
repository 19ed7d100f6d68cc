//! Completions for shells, and manual pages.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use tercet_engine::Error;

use super::{Cli, report};

/// Print the completions of a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tercet completions bash > ~/.local/share/bash-completion/completions/tercet
  tercet completions fish > ~/.config/fish/completions/tercet.fish")]
pub(super) struct Completions {
    /// Shell to complete commands in
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tercet", &mut script);
        report::print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Write the manual pages of all commands
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tercet man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// Folder for tercet.1 and the pages of the commands; made if it is missing
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let written =
            fs::create_dir_all(&self.dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &self.dir));
        written.map_err(|error| Error::io("write", &self.dir, error))?;
        Ok(ExitCode::SUCCESS)
    }
}
