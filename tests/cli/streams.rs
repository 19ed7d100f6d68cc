//! Devices and pipes in the place of files: they may have no end, or take nothing.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::harness::{Ran, Scratch, TINY, command, finish, tercet};
use crate::models::{Broken, FILES};

fn pipe(path: &str) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn assert_fails(ran: &Ran, status: i32, part: &str) {
    assert_eq!((ran.status, ran.stderr.lines().count()), (Some(status), 1), "{ran:?}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(part), "{}", ran.stderr);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for arguments in [
        &["info"][..],
        &["models"],
        &["dump"],
        &["generate", "-n", "2", "Hi"],
        &["generate", "-n", "2", "--json", "Hi"],
        &["chat", "-n", "2", "--json"],
    ] {
        // On this device every write fails.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(arguments).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("error: cannot write standard output: No space left"), "{stderr}");
    }
}

#[test]
fn input_without_an_end_is_refused() {
    for (arguments, part) in
        [(["generate", "-m", TINY], "the prompt: "), (["chat", "-m", TINY], "line 1 of standard input: ")]
    {
        let ran = finish(command(&arguments).stdin(File::open("/dev/zero").unwrap()));
        assert_fails(&ran, 2, &format!("{part}it has more than 67"));
    }
}

#[test]
fn a_pipe_is_no_model() {
    let scratch = Scratch::new();
    let model = scratch.file("model");
    pipe(&model);
    assert_fails(&tercet(&["generate", "-m", &model, "Hi"]), 1, "neither a directory nor a regular file");
    for file in FILES.iter().chain(&["chat_template.jinja", "special_tokens_map.json"]) {
        let broken = Broken::new();
        let path = format!("{}/{file}", broken.dir());
        let _ = fs::remove_file(&path);
        pipe(&path);
        let ran = tercet(&["generate", "-m", broken.dir(), "--chat", "Hi"]);
        assert_fails(&ran, 1, &format!("{file}: not a regular file"));
    }
}
