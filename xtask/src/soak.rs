//! Troubles `tercet serve` with many clients, good and bad ones.

use std::process::Command;

use anyhow::Result;

use crate::steps::{program, run, skip, skip_unless_ci};
use crate::{ROOT, tools};

const STEP: &str = "trouble for the server";

/// Builds the command and troubles it for some seconds, where this system has Python or `CI=true`.
pub(crate) fn test(seconds: u64) -> Result<()> {
    if !cfg!(target_os = "linux") {
        skip(STEP, "it reads memory and threads from /proc");
        return Ok(());
    }
    if !tools::has("python3") {
        return skip_unless_ci(STEP, "python3 is missing");
    }
    let program = program()?;
    let mut python = Command::new("python3");
    python.arg("tests/soak/soak.py").arg(program).current_dir(ROOT);
    run(STEP, python.args(["--seconds", &seconds.to_string()]))
}
