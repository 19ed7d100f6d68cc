//! Disks that are full or read-only, and damaged files in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{bounded, play, run, works};
use crate::harness::{Scratch, TINY, command};
use crate::hub_server::FakeHub;
use crate::models::{FILES, wide_model};
use crate::mutations::mutate_bytes;

/// A directory in which nobody can write, not even root.
const READ_ONLY: &str = "/proc/tercet";

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn a_full_disk_is_an_error_and_leaves_no_half_output() {
    let hub =
        FakeHub::new(FILES.map(|name| (name.to_owned(), fs::read(Path::new(TINY).join(name)).unwrap())));
    play(5, |random, scratch| {
        let room = Some(random.below(400_000) as u64);
        for name in ["out.gguf", "out"] {
            let out = scratch.file(name);
            let end = run(&mut bounded(&["convert", "-m", TINY, "-o", &out], 1 << 20, room), b"", None)?;
            if (end.status == Some(0)) != Path::new(&out).exists() {
                return Err(format!("the status is {:?}, and {:?}", end.status, files_in(scratch.path())));
            }
            if end.status == Some(0) {
                works(&mut bounded(&["generate", "-m", &out, "-n", "2", "Hi"], 1 << 20, None))?;
            }
        }
        let home = scratch.file("home");
        let generate = |room| {
            let mut command = bounded(&["generate", "-m", "hf:tiny/bitnet", "-n", "2", "Hi"], 1 << 20, room);
            command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", &home);
            command
        };
        run(&mut generate(room), b"", None)?;
        works(&mut generate(None)).map(drop)
    });
}

#[test]
fn a_cache_that_is_full_or_damaged_changes_no_text() {
    let (model, whole) = (Scratch::new(), Scratch::new());
    let path = wide_model(&model);
    let generate = |cache: &Path, room| {
        let arguments = ["generate", "--greedy", "-n", "2", "-m", &path, "Hi"];
        let mut command = bounded(&arguments, 16 << 20, room);
        command.env("TERCET_CACHE_DIR", cache);
        command
    };
    // The first run tunes, which takes longer than the bounds allow.
    let mut first = command(&["generate", "--greedy", "-n", "2", "-m", &path, "Hi"]);
    first.env("TERCET_CACHE_DIR", whole.path()).env_remove("TERCET_NO_TUNE");
    let expected = works(&mut first).unwrap().stdout;
    let kept = files_in(whole.path());
    assert!(kept.iter().any(|file| file.ends_with("tuning.json")), "{kept:?}");
    works(&mut generate(Path::new(READ_ONLY), None)).unwrap();
    play(4, |random, scratch| {
        let cache = scratch.path().join("cache");
        run(&mut generate(&cache, Some(random.below(16 << 20) as u64)), b"", None)?;
        for file in &kept {
            let copy = cache.join(file.strip_prefix(whole.path()).unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            let mut bytes = fs::read(file).unwrap();
            let rest = bytes.split_off(bytes.len().min(4096));
            mutate_bytes(&mut bytes, random);
            bytes.extend(rest);
            fs::write(copy, bytes).unwrap();
        }
        let text = works(&mut generate(&cache, None))?.stdout;
        if text == expected { Ok(()) } else { Err(format!("the text changed: {text:?}")) }
    });
}

#[test]
fn an_output_that_takes_nothing_is_an_error() {
    for arguments in [
        &["generate", "-m", TINY, "-n", "2", "Hi"][..],
        &["info", "-m", TINY],
        &["info", "-m", TINY, "--json"],
        &["dump"],
        &["models"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = bounded(arguments, 1 << 20, None).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
    for out in [READ_ONLY, "/proc/m.gguf"] {
        run(&mut bounded(&["convert", "-m", TINY, "-o", out], 1 << 20, None), b"", None).unwrap();
    }
}
