//! Files that others change, replace or occupy while the program uses them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{GGUF, Ran, Scratch, command};
use crate::models::{Broken, wide_model};

/// Starts the program with pipes.
fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Requires that a program ended by itself, with at most one error, on one line.
fn ended(output: Output) -> Ran {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let ran =
        Ran { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    assert!(ran.status.is_some_and(|status| (0..=2).contains(&status)), "{:?} {ran:?}", output.status);
    assert!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count() <= 1, "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    ran
}

/// Waits for the end of a program for some seconds.
fn ends_soon(mut child: Child) -> Ran {
    const PATIENCE: Duration = Duration::from_secs(20);
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(10));
    }
    ended(child.wait_with_output().unwrap())
}

type Change = fn(&Path);

/// Ways to change the file at a path in place.
const CHANGES: [(&str, Change); 3] = [
    ("truncated", |path| drop(File::create(path).unwrap())),
    ("cut in half", |path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }),
    ("overwritten", |path| {
        let len = fs::metadata(path).unwrap().len() as usize;
        File::options().write(true).open(path).unwrap().write_all(&vec![0; len]).unwrap();
    }),
];

/// Talks with the model at `model`, and changes `file` after the first reply.
fn chat(model: &str, file: &Path, change: Change) -> Ran {
    let mut child = start(&mut command(&["chat", "-m", model, "--greedy", "-n", "4"]));
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Hello\n").unwrap();
    let mut first = BufReader::new(child.stdout.take().unwrap());
    first.read_line(&mut String::new()).unwrap();
    change(file);
    // The program may have ended already.
    let _ = input.write_all(b"And then?\n");
    drop(input);
    let _ = first.read_to_string(&mut String::new());
    ends_soon(child)
}

#[test]
fn a_model_that_changes_during_a_chat_ends_it_with_one_line() {
    for (what, change) in CHANGES {
        let model = Broken::new();
        let file = Path::new(model.dir()).join("model.safetensors");
        let ran = chat(model.dir(), &file, change);
        assert_eq!(ran.status, Some(1), "{what}: {ran:?}");
        assert!(ran.stderr.contains("changed while in use"), "{what}: {ran:?}");
    }
    let scratch = Scratch::new();
    let gguf = scratch.file("model.gguf");
    fs::copy(GGUF, &gguf).unwrap();
    let ran = chat(&gguf, Path::new(&gguf), CHANGES[0].1);
    assert!(ran.status == Some(1) && ran.stderr.contains("changed while in use"), "{ran:?}");
}

#[test]
fn a_model_that_is_replaced_by_another_file_runs_on() {
    let model = Broken::new();
    let ran = chat(model.dir(), &Path::new(model.dir()).join("model.safetensors"), |path| {
        let other = path.with_file_name("other");
        fs::write(&other, "another model").unwrap();
        fs::rename(other, path).unwrap();
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

#[test]
fn a_model_that_changes_while_it_is_loaded_is_an_error_and_no_crash() {
    let scratch = Scratch::new();
    let dir = wide_model(&scratch);
    let file = scratch.path().join("model.safetensors");
    let good = fs::read(&file).unwrap();
    for round in 0..12 {
        fs::write(&file, &good).unwrap();
        let child = start(&mut command(&["generate", "-m", &dir, "--greedy", "-n", "2", "Hi"]));
        thread::sleep(Duration::from_millis(5 * round));
        CHANGES[round as usize % 2].1(&file);
        ends_soon(child);
    }
}

/// A model that is large enough to be kept, and the directory of its packed files.
struct Cached {
    model: Scratch,
    cache: Scratch,
}

impl Cached {
    fn new() -> Self {
        let cached = Cached { model: Scratch::new(), cache: Scratch::new() };
        wide_model(&cached.model);
        cached
    }

    fn generate(&self) -> Ran {
        let model = self.model.path().display().to_string();
        let mut command = command(&["generate", "--greedy", "-n", "2", "-m", &model, "Hi"]);
        let ran = ends_soon(start(command.env("TERCET_CACHE_DIR", self.cache.path())));
        assert_eq!(ran.status, Some(0), "{ran:?}");
        ran
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(self.cache.path().join("packed")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_and_links_in_the_cache_are_neither_waited_for_nor_written_through() {
    let cached = Cached::new();
    let text = cached.generate().stdout;
    let mut names = cached.files();
    names.extend(names.clone().iter().map(|path| path.with_extension("tmp")));
    for name in &names {
        let _ = fs::remove_file(name);
        pipe(name);
        assert_eq!(cached.generate().stdout, text, "{}", name.display());
        let _ = fs::remove_file(name);

        let precious = cached.cache.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, name).unwrap();
        assert_eq!(cached.generate().stdout, text, "{}", name.display());
        assert_eq!(fs::read(&precious).unwrap(), b"precious", "{}", name.display());
        let _ = fs::remove_file(name);
    }
    for name in ["packed.lock", "tuning.json", "tuning.lock"] {
        cached.files().iter().for_each(|path| fs::remove_file(path).unwrap());
        let place = cached.cache.path().join(name);
        let _ = fs::remove_file(&place);
        pipe(&place);
        assert_eq!(cached.generate().stdout, text, "{name}");
        fs::remove_file(place).unwrap();
    }
}

#[test]
fn a_cache_with_a_size_keeps_no_more() {
    let cached = Cached::new();
    let model = cached.model.path().display().to_string();
    let generate = |size: &str| {
        let mut command =
            command(&["generate", "--greedy", "-n", "2", "-m", &model, "--cache-size", size, "Hi"]);
        ended(command.env("TERCET_CACHE_DIR", cached.cache.path()).output().unwrap())
    };
    let ran = generate("100kB");
    assert!(ran.status == Some(0) && ran.stderr.contains("--cache-size"), "{ran:?}");
    assert!(!cached.cache.path().join("packed").exists() || cached.files().is_empty());
    assert_eq!(generate("100MB").status, Some(0));
    assert!(!cached.files().is_empty());
    assert_eq!(generate("much").status, Some(2));

    let listed = |size: &str| {
        let mut command = command(&["cache"]);
        command.env("TERCET_CACHE_DIR", cached.cache.path()).env("TERCET_CACHE_SIZE", size);
        ended(command.output().unwrap())
    };
    assert!(listed("3GB").stdout.contains("3.00 GB (--cache-size"), "{:?}", listed("3GB"));
    assert_eq!(listed("-1").status, Some(2));
}

#[test]
fn cache_clear_deletes_what_it_lists_and_nothing_else() {
    let scratch = Scratch::new();
    let documents = scratch.path().join("documents");
    fs::create_dir(&documents).unwrap();
    fs::write(documents.join("thesis.docx"), "thesis").unwrap();
    fs::create_dir(documents.join("folder")).unwrap();
    symlink(&documents, scratch.path().join("packed")).unwrap();
    let mut clear = command(&["cache", "clear"]);
    let ran = ended(clear.env("TERCET_CACHE_DIR", scratch.path()).output().unwrap());
    assert!(ran.status == Some(0) && ran.stdout.starts_with("0 B freed"), "{ran:?}");
    assert_eq!(fs::read(documents.join("thesis.docx")).unwrap(), b"thesis");
}
