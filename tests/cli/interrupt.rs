//! Ctrl-C, while a prompt is read whose parts take seconds.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Scratch, command, parse};
use crate::models::wide_model;

/// The time for a process to end on a busy machine: less than a part of a prompt takes.
const SOON: Duration = Duration::from_millis(1500);

/// Runs the program on a wide model in the exact mode and interrupts it, later and later until it has got to its work.
/// Returns its output then.
#[track_caller]
fn interrupted(arguments: &[&str], input: &str, is_at_work: impl Fn(&Value) -> bool) -> Value {
    let scratch = Scratch::new();
    let model = wide_model(&scratch);
    let slow = ["-m", &model, "--mode", "exact", "--isa", "portable", "--threads", "1", "--json"];
    // Fast machines read the prompt within a tenth of a second, slow ones load the model for seconds.
    let delays = std::iter::successors(Some(20), |delay| Some(delay + delay / 4));
    for delay in delays.take_while(|delay| *delay < 5000) {
        let mut command = command(&[arguments, &slow].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // The program may end before it reads its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        sleep(Duration::from_millis(delay));
        let start = Instant::now();
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let elapsed = start.elapsed();
        if output.stdout.is_empty() {
            assert_eq!(output.status.code(), Some(130), "it was loading");
            continue;
        }
        let object = parse(&String::from_utf8(output.stdout).unwrap());
        if is_at_work(&object) {
            assert!(elapsed < SOON, "{elapsed:?} after Ctrl-C");
            return object;
        }
    }
    panic!("no interrupt came while the prompt was read");
}

#[test]
fn a_prompt_is_given_up_in_the_midst_of_a_part() {
    let ids = vec!["5"; 250].join(",");
    let arguments = ["generate", "--prompt-ids", &ids, "-n", "1"];
    let object = interrupted(&arguments, "", |object| object["stop"] == "cancelled");
    assert_eq!(object["ids"], serde_json::json!([]));
}

#[test]
fn a_chat_goes_on_after_a_prompt_is_given_up() {
    let lines = format!("{}\nHi\n", "a long story ".repeat(18));
    let object =
        interrupted(&["chat", "-n", "1"], &lines, |object| object["turns"][0]["stop"] == "cancelled");
    assert_eq!(object["turns"][0]["ids"], serde_json::json!([]));
    assert_eq!(object["turns"][1]["user"], "Hi");
    assert_eq!(object["turns"][1]["stop"], "length");
}
