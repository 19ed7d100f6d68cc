//! Machines with too little memory, or too few threads: one line and a status, and never an abort.
#![cfg(target_os = "linux")]

use std::process::Command;

use crate::harness::{FAIRY_TALES, Ran, Scratch, TINY, command, finish};
use crate::models::Broken;

/// Runs the program with an address space of so many MB.
fn within(megabytes: usize, arguments: &[&str]) -> Ran {
    let program = command(arguments);
    let mut limited = Command::new("sh");
    let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes * 1000);
    limited.args(["-c", &script]).arg(program.get_program()).args(program.get_args());
    limited.current_dir(std::env::temp_dir());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    finish(&mut limited)
}

/// Requires one line that names a size and a remedy, and the status of a machine's failure.
#[track_caller]
fn assert_refused(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    let line = ran.stderr.lines().last().unwrap();
    assert!(line.starts_with("error: ") && line.contains("can be had"), "{ran:?}");
    words.iter().for_each(|word| assert!(line.contains(word), "no {word:?} in {line}"));
}

/// The tiny model with room for many positions.
fn long() -> Broken {
    Broken::new().edited(
        "config.json",
        "\"max_position_embeddings\": 512",
        "\"max_position_embeddings\": 16000000",
    )
}

#[test]
fn a_context_that_does_not_fit_is_refused_with_its_size() {
    let model = long();
    for context in ["1000000", "16000000"] {
        let arguments = ["generate", "-m", model.dir(), "--context", context, "-n", "1", "Hi"];
        let ran = within(1000, &arguments);
        assert_refused(&ran, &[context, " GB", "smaller context"]);
    }
    let chat = within(1000, &["chat", "-m", model.dir(), "--context", "16000000"]);
    assert_refused(&chat, &["16000000", "smaller context"]);
    let ran = within(1000, &["generate", "-m", model.dir(), "--context", "1000", "-n", "1", "Hi"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_its_size() {
    let ran = within(700, &["bench", "--synthetic", "bitnet-2b-4t"]);
    assert_refused(&ran, &["bitnet-2b-4t", " GB", "smaller model"]);
}

#[test]
fn memory_is_taken_as_a_sequence_grows() {
    let model = long();
    let peak = |kind: &str, context: &str| {
        let arguments = [
            "generate",
            "-m",
            model.dir(),
            "--cache-type",
            kind,
            "--context",
            context,
            "-n",
            "2",
            "--json",
            "Hi",
        ];
        let object = crate::harness::parse(&crate::harness::output(&arguments));
        object["peak_rss_bytes"].as_u64().unwrap()
    };
    for kind in ["f16", "f32"] {
        let (small, large) = (peak(kind, "64"), peak(kind, "500000"));
        assert!(large < small + (20 << 20), "{kind}: {small} and {large} bytes");
    }
}

/// Runs the program as a user that may start `threads` threads, or returns none if this user cannot do that.
fn with_threads(threads: usize, arguments: &[&str]) -> Option<Ran> {
    let limited = |arguments: &[&str]| {
        let program = command(arguments);
        let mut limited = Command::new("setpriv");
        limited.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "prlimit"]);
        limited.arg(format!("--nproc={threads}")).arg(program.get_program()).args(program.get_args());
        limited
            .env_clear()
            .env("TERCET_NO_TUNE", "1")
            .env("TERCET_NO_CACHE", "1")
            .env("PATH", "/usr/bin:/bin");
        limited.current_dir("/");
        limited
    };
    let works = limited(&["--version"]).output().is_ok_and(|output| output.status.success());
    works.then(|| finish(&mut limited(arguments)))
}

#[test]
fn threads_that_cannot_be_started_are_done_without() {
    let greedy = ["generate", "--greedy", "-n", "4", "Hi"];
    let expected = crate::harness::output(&greedy);
    let Some(ran) = with_threads(1, &greedy) else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "setpriv and prlimit are needed");
        return;
    };
    assert_eq!((ran.status, ran.stdout), (Some(0), expected.clone()), "{}", ran.stderr);
    let ran = with_threads(2, &[&greedy[..], &["--threads", "8"]].concat()).unwrap();
    assert_eq!((ran.status, ran.stdout), (Some(0), expected), "{}", ran.stderr);
    assert!(ran.stderr.contains("of 8 threads"), "{}", ran.stderr);
    let scratch = Scratch::new();
    for arguments in [
        vec!["info"],
        vec!["chat"],
        vec!["perplexity", &format!("{FAIRY_TALES}/valid.txt")[..], "--window", "zero"],
        vec!["convert", "-m", TINY, "-o", &scratch.file("out.gguf")[..]],
        vec!["dump"],
    ] {
        let ran = with_threads(1, &arguments).unwrap();
        assert!(ran.status.is_some_and(|status| status <= 2), "{arguments:?}: {ran:?}");
    }
}
