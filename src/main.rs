//! The `tercet` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tercet::cli::run(std::env::args_os())
}
