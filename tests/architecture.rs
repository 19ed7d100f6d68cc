//! Keeps ARCHITECTURE.md's rules about who may know whom, by reading manifests and sources.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

/// Every text file below `folder`, with its contents, except what is built or generated.
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

/// Panics if a line of code below `folder` that is not `excused` contains one of `words`.
fn forbid(folder: &str, words: &[&str], excused: impl Fn(&Path, &str) -> bool) {
    for (path, text) in texts(folder) {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//") && !excused(&path, line))
        {
            assert!(!words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
    }
}

#[test]
fn crates_depend_downwards_only() {
    for (manifest, allowed) in [
        ("kernels-ref/Cargo.toml", &[][..]),
        ("pool/Cargo.toml", &[]),
        ("codegen/Cargo.toml", &["tercet-kernels-ref.workspace"]),
        ("autotune/Cargo.toml", &["tercet-codegen.workspace"]),
    ] {
        let text = fs::read_to_string(common::path(manifest)).unwrap();
        let ours = text
            .lines()
            .filter(|line| line.starts_with("tercet"))
            .map(|line| line.split(' ').next().unwrap());
        assert!(ours.eq(allowed.iter().copied()), "{manifest}");
    }
    let text = fs::read_to_string(common::path("kernels-ref/Cargo.toml")).unwrap();
    assert!(!text.contains("dependencies"), "kernels-ref depends on nothing");
}

#[test]
fn code_generation_knows_no_file_and_no_thread() {
    let about_the_system = |path: &Path, _: &str| {
        path.components().any(|part| {
            ["cpu", "cpu.rs", "profile", "profile.rs"].iter().any(|name| part.as_os_str() == *name)
        }) || path.components().any(|part| part.as_os_str().to_string_lossy().contains("tests"))
    };
    forbid("codegen/src", &["std::fs", "fs::", "File::", "std::thread", "thread::"], about_the_system);
    let store = |path: &Path, _: &str| path.ends_with("store.rs");
    forbid("autotune/src", &["std::fs", "File::", "std::thread"], store);
    forbid("autotune/src", &["thread::spawn", "thread::scope", "tercet_kernels_ref"], |_, _| false);
}

#[test]
fn the_model_names_no_isa() {
    let float_primitives = |path: &Path, _: &str| {
        [
            "ops.rs",
            "dot.rs",
            "attention/halves.rs",
            "attention/doubles.rs",
            "vector.rs",
            "vector/x86.rs",
            "vector/neon.rs",
        ]
        .iter()
        .any(|name| path.ends_with(name))
    };
    forbid("src/model", &["Isa"], |_, _| false);
    forbid("src/model", &["avx", "neon", "x86", "target_feature"], float_primitives);
}

#[test]
fn the_command_uses_what_the_library_exports() {
    let library = fs::read_to_string(common::path("src/lib.rs")).unwrap();
    let words =
        |text: &str| text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
    let exports = library.split(';').filter(|statement| statement.trim_start().starts_with("pub use "));
    let exported: Vec<String> = exports.flat_map(words).collect();
    let modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    let private = |line: &str| modules.iter().any(|module| line.contains(&format!("crate::{module}::")));
    for (path, text) in texts("src/cli") {
        for line in text.lines().filter(|line| private(line)) {
            let types = words(line).into_iter().filter(|word| word.starts_with(char::is_uppercase));
            types.for_each(|name| {
                assert!(exported.contains(&name), "{}: {name} is not public", path.display())
            });
        }
    }
}

#[test]
fn the_repository_stands_alone() {
    let elsewhere = [["..", "shared"].join("/"), ["", "work", ""].join("/")];
    for (path, text) in texts("") {
        assert!(!elsewhere.iter().any(|place| text.contains(place)), "{} reads outside", path.display());
    }
}
