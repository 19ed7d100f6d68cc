//! Runs the commands of the README and of the documentation, in blocks of the language `sh`.

use std::path::Path;
use std::process::Command;

/// Returns the lines of all `sh` blocks.
fn commands(readme: &str) -> impl Iterator<Item = &str> {
    let blocks = readme.split("```sh\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines())
}

#[test]
fn every_command_of_the_readme_works() {
    every_command_works("README.md");
}

#[test]
fn every_command_for_those_who_come_from_elsewhere_works() {
    every_command_works("docs/coming-from.md");
}

#[test]
fn every_command_of_the_first_steps_works() {
    every_command_works("docs/get-started.md");
}

#[test]
fn every_command_of_the_workbench_works() {
    every_command_works("docs/workbench.md");
}

fn every_command_works(document: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join(document)).unwrap();
    let tercet = Path::new(env!("CARGO_BIN_EXE_tercet"));
    let path = format!("{}:{}", tercet.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut run = 0;
    for line in commands(&readme) {
        // Runs the built program instead of building it again. `cargo xtask test` would run this
        // test again.
        let line = line.replace("cargo run --release --features cli --", "tercet");
        if line == "cargo xtask test" {
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &line])
            .current_dir(root)
            .env("PATH", &path)
            .env_remove("TERCET_MODEL")
            .env("TERCET_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"))
            .env("TERCET_NO_TUNE", "1")
            .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty(), "{line} printed nothing");
        run += 1;
    }
    assert!(run > 4, "only {run} commands found");
}
