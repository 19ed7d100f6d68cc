//! Checks the rules of ARCHITECTURE.md that Cargo cannot check. The dependencies between crates
//! need no test: a crate sees only the crates that its manifest names, and Cargo refuses cycles.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

/// Returns every text file below `folder` with its contents. Build output and generated files are
/// skipped.
fn texts(folder: &str) -> Vec<(PathBuf, String)> {
    let skipped =
        |path: &Path| [".git", "target", "corpus", "artifacts"].iter().any(|name| path.ends_with(name));
    let mut folders = vec![common::path(folder)];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !skipped(path))
        {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                texts.push((path, text));
            }
        }
    }
    assert!(!texts.is_empty());
    texts
}

/// Panics if code below `folder` contains one of `words`. Comments, unit tests and excused files
/// may contain them.
fn forbid(folder: &str, words: &[&str], excused: impl Fn(&Path) -> bool) {
    for (path, text) in texts(folder).iter().filter(|(path, _)| !excused(path)) {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(!words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
    }
}

/// Returns true if a folder or file on `path`, without its extension, is called `name`.
fn is_within(path: &Path, name: &str) -> bool {
    path.with_extension("").components().any(|part| part.as_os_str() == name)
}

fn is_test(path: &Path) -> bool {
    ["tests", "decoder_tests"].iter().any(|name| is_within(path, name))
}

#[test]
fn code_generation_uses_no_file_and_no_thread() {
    forbid("codegen/src", &["std::fs", "fs::", "File::", "std::thread", "thread::"], is_test);
}

#[test]
fn the_model_names_no_isa() {
    forbid("engine/src/model", &["Isa", "avx", "neon", "x86", "target_feature"], is_test);
}

#[test]
fn the_python_package_uses_only_the_entry_point_of_the_command() {
    for (path, text) in texts("python/src") {
        let rest = text.replace("tercet::cli::run", "");
        assert!(!rest.contains("cli"), "{}: only `tercet::cli::run` is allowed", path.display());
    }
}

#[test]
fn the_repository_stands_alone() {
    let elsewhere = [["..", "shared"].join("/"), ["", "work", ""].join("/")];
    for (path, text) in texts("") {
        assert!(!elsewhere.iter().any(|place| text.contains(place)), "{} reads outside", path.display());
    }
}
