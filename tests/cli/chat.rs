//! `tercet chat`, with turns from a pipe.

use crate::harness::{Ran, TINY, assert_fields, parse, with_input};

fn chat(flags: &[&str], lines: &str) -> Ran {
    let ran = with_input(&[&["chat"], flags].concat(), lines.as_bytes());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

#[test]
fn json_has_the_documented_fields_and_later_turns_read_only_new_tokens() {
    let first = "Please tell me a story about a king who had a daughter";
    let lines = format!("{first}\n\nAnd then?\n");
    let object = parse(&chat(&["--json", "--greedy", "-n", "8"], &lines).stdout);
    assert_fields(&object, &["model", "isa", "threads", "turns", "peak_rss_bytes"]);
    let turns = object["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 2);
    for turn in turns {
        let times = ["prefill_s", "decode_s", "drafted", "accepted"];
        assert_fields(turn, &[&["user", "reply", "ids", "prompt_tokens", "stop"], &times[..]].concat());
    }
    assert_eq!(turns[0]["user"], first);
    let read = |turn: usize| turns[turn]["prompt_tokens"].as_u64().unwrap();
    assert!(read(1) < read(0), "{} then {} tokens", read(0), read(1));
}

#[test]
fn every_line_of_a_pipe_is_text() {
    let lines = "one\n/etc/hosts, what is it?\r\n/quit\n  \n two";
    let object = parse(&chat(&["--json", "--greedy", "-n", "1"], lines).stdout);
    let users: Vec<_> = object["turns"].as_array().unwrap().iter().map(|turn| turn["user"].clone()).collect();
    assert_eq!(users, ["one", "/etc/hosts, what is it?", "/quit", " two"]);
}

#[test]
fn replies_are_lines_of_text() {
    let ran = chat(&["--greedy", "-n", "8", "--system", "Be brief."], "Hello\n");
    assert!(ran.stdout.ends_with('\n') && ran.stdout.len() > 1, "{ran:?}");
}

/// Runs a chat that must fail as bad input, and returns the users' messages of its turns and the error.
fn failing(flags: &[&str], input: &[u8]) -> (Vec<String>, String) {
    let ran = with_input(&[&["chat", "--greedy", "-n", "1", "--json"], flags].concat(), input);
    assert_eq!((ran.status, ran.stderr.lines().count()), (Some(2), 1), "{ran:?}");
    let object = parse(&ran.stdout);
    let turns = object["turns"].as_array().unwrap().iter();
    (turns.map(|turn| turn["user"].as_str().unwrap().to_owned()).collect(), ran.stderr)
}

#[test]
fn a_line_that_is_not_utf8_is_named_and_the_turns_before_are_kept() {
    let (users, error) = failing(&[], b"one\n\ntwo\nthr\xffee\nfour\n");
    assert_eq!(users, ["one", "two"]);
    assert!(error.contains("line 4 of standard input: byte 4 is not UTF-8"), "{error}");
    let (users, _) = failing(&[], b"\xff");
    assert!(users.is_empty());
}

#[test]
fn a_line_that_does_not_fit_the_context_is_named_and_the_turns_before_are_kept() {
    let long = "a very long story ".repeat(20);
    let lines = format!("Hello\n{long}\nHello\n");
    let (users, error) = failing(&["-m", TINY, "--context", "64"], lines.as_bytes());
    assert_eq!(users, ["Hello"]);
    for word in ["line 2 of standard input", "context holds 64", "--context"] {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
}
