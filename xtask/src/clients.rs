//! Runs official clients of OpenAI, Anthropic and Ollama against `tercet serve`, in an environment of their own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::python::{environment, tool};
use crate::steps::{program, run, skip_unless_ci};
use crate::{ROOT, tools};

const INSTRUCTOR: &str = "../tests/clients/instructor";

const STEP: &str = "official clients of the server";

/// Builds the command and runs the clients, where this system has Python or `CI=true`.
pub(crate) fn test() -> Result<()> {
    let requirements = Path::new(ROOT).join("tests/clients/requirements.txt");
    let requirements = requirements.to_string_lossy();
    let Some(venv) = environment("clients-venv", STEP, &["--requirement", &requirements])? else {
        return Ok(());
    };
    let program = program()?;
    pytest(STEP, &venv, &program, &["../tests/clients", "--ignore", INSTRUCTOR])?;
    // It needs an older version of OpenAI's client.
    let requirements = Path::new(ROOT).join("tests/clients/instructor/requirements.txt");
    let requirements = requirements.to_string_lossy();
    let Some(venv) = environment("instructor-venv", STEP, &["--requirement", &requirements])? else {
        return Ok(());
    };
    pytest("instructor, a client of the server", &venv, &program, &[INSTRUCTOR])?;
    test_node(&program)
}

/// Runs two servers behind nginx, by the documentation's configuration.
pub(crate) fn test_balancer() -> Result<()> {
    const STEP: &str = "two servers behind nginx";
    if Command::new("nginx").arg("-v").output().is_err() {
        return skip_unless_ci(STEP, "nginx is missing: install nginx");
    }
    let requirements = Path::new(ROOT).join("tests/clients/requirements.txt");
    let requirements = requirements.to_string_lossy();
    let Some(venv) = environment("clients-venv", STEP, &["--requirement", &requirements])? else {
        return Ok(());
    };
    pytest(STEP, &venv, &program()?, &["../tests/balancer"])
}

/// Runs the clients for Node.js.
fn test_node(program: &Path) -> Result<()> {
    const STEP: &str = "official clients for Node.js";
    let packages = match tools::npm_packages() {
        Ok(packages) => packages,
        Err(error) => return skip_unless_ci(STEP, &format!("{error:#}")),
    };
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "openai.test.mjs"])
        .current_dir(Path::new(ROOT).join("tests/clients"));
    node.env("TERCET", program.canonicalize()?).env("PACKAGES", packages.canonicalize()?);
    run(STEP, node.env("TERCET_NO_TUNE", "1"))
}

/// Runs tests with the programs of an environment, in the folder of the Python package.
fn pytest(step: &str, venv: &Path, program: &Path, arguments: &[&str]) -> Result<()> {
    let mut pytest = tool(venv, "pytest");
    pytest.env("TERCET", program);
    run(step, pytest.args(["--quiet", "-rs"]).args(arguments))
}
