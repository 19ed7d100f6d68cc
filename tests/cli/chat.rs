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
        assert_fields(turn, &["user", "reply", "ids", "prompt_tokens", "stop", "prefill_s", "decode_s"]);
    }
    assert_eq!(turns[0]["user"], first);
    let read = |turn: usize| turns[turn]["prompt_tokens"].as_u64().unwrap();
    assert!(read(1) < read(0), "{} then {} tokens", read(0), read(1));
}

#[test]
fn slash_commands_control_the_chat() {
    let object = parse(
        &chat(&["--json", "--greedy", "-n", "8"], "Hello\n/help\n/reset\nHello\n/quit\nHello\n").stdout,
    );
    let turns = object["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0]["ids"], turns[1]["ids"]);
    assert_eq!(turns[0]["prompt_tokens"], turns[1]["prompt_tokens"]);
}

#[test]
fn replies_are_lines_of_text() {
    let ran = chat(&["--greedy", "-n", "8", "--system", "Be brief."], "Hello\n/help\n");
    assert!(ran.stdout.ends_with('\n') && !ran.stdout.contains("/reset"), "{}", ran.stdout);
    assert!(ran.stderr.contains("/reset"), "{}", ran.stderr);
}

#[test]
fn a_full_context_does_not_end_the_chat() {
    let long = "a very long story ".repeat(20);
    let lines = format!("Hello\n{long}\n/reset\nHello\n");
    let ran = chat(&["-m", TINY, "--context", "64", "--greedy", "-n", "4", "--json"], &lines);
    assert!(ran.stderr.contains("context holds 64") && ran.stderr.contains("/reset"), "{}", ran.stderr);
    let object = parse(&ran.stdout);
    let turns = object["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 3);
    assert_eq!(turns[1]["stop"], "context_exceeded");
    assert_eq!(turns[0]["ids"], turns[2]["ids"]);
}
