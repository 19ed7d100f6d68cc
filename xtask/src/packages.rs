//! Checks what the published crates would hold.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cargo;

/// Where files of a published crate are. Tests, fixtures and goldens are elsewhere.
const FOLDERS: [&str; 2] = ["src/", "examples/"];
/// Files that a crate may have beside these folders. Cargo adds some of them.
const AT_ROOT: [&str; 7] = [
    "Cargo.toml",
    "Cargo.toml.orig",
    "Cargo.lock",
    ".cargo_vcs_info.json",
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];
/// The crate whose model is at its root.
const MODEL: &str = "tercet-fairy-tales";
/// Files of the model that only tests read.
const OF_TESTS: [&str; 3] = ["golden.safetensors", "perplexity.json", "valid.txt"];

/// Checks that every crate for the registry holds its sources and no test data.
pub(crate) fn check() -> Result<()> {
    let metadata = output("metadata --no-deps --format-version 1 --offline")?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    for package in packages.iter().filter(|package| package["publish"].is_null()) {
        let name = package["name"].as_str().context("a package has no name")?;
        let files = output(&format!("package --list --offline --allow-dirty -p {name}"))?;
        ensure!(files.lines().any(|file| file.ends_with("lib.rs")), "{name} has no library");
        if let Some(file) = files.lines().find(|file| !belongs(name, file)) {
            bail!("{name} would be published with {file}; see `include` in its Cargo.toml");
        }
    }
    Ok(())
}

/// Returns true if a published crate may hold `file`.
fn belongs(name: &str, file: &str) -> bool {
    let of_model = name == MODEL && !file.contains('/') && !OF_TESTS.contains(&file);
    of_model || AT_ROOT.contains(&file) || FOLDERS.iter().any(|folder| file.starts_with(folder))
}

fn output(arguments: &str) -> Result<String> {
    let output = cargo(arguments).output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "cargo {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixtures_and_goldens_do_not_belong() {
        for file in ["src/lib.rs", "src/page/style.css", "examples/emit.rs", "Cargo.toml.orig", "LICENSE-MIT"]
        {
            assert!(belongs("tercet", file), "{file}");
        }
        for file in ["tests/fixtures/bitnet-tiny/config.json", "models/x", "typos.toml"] {
            assert!(!belongs("tercet", file), "{file}");
        }
        assert!(belongs(MODEL, "model.safetensors") && !belongs(MODEL, "golden.safetensors"));
    }
}
