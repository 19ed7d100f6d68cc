//! Runs official clients of OpenAI, Anthropic and Ollama against `tercet serve`, in an environment of their own.

use std::path::Path;

use anyhow::Result;

use crate::python::{environment, tool};
use crate::steps::run;
use crate::{ROOT, cargo, target};

const STEP: &str = "official clients of the server";

/// Builds the command and runs the clients, where this system has Python or `CI=true`.
pub(crate) fn test() -> Result<()> {
    let requirements = Path::new(ROOT).join("tests/clients/requirements.txt");
    let requirements = requirements.to_string_lossy();
    let Some(venv) = environment("clients-venv", STEP, &["--requirement", &requirements])? else {
        return Ok(());
    };
    // The whole workspace, so that the features of dependencies are those of the tests.
    run("the server", &mut cargo("build --workspace --bin tercet"))?;
    let mut pytest = tool(&venv, "pytest");
    pytest.env("TERCET", target().join("debug/tercet"));
    run(STEP, pytest.args(["--quiet", "-rs", "../tests/clients"]))
}
