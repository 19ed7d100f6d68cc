//! Kills at random moments. The next run works, and nothing is half-written.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{bounded, play, run, works};
use crate::harness::{Scratch, TINY};
use crate::hub_server::{FakeHub, Faults};
use crate::models::{FILES, wide_model};
use crate::mutations::Random;

/// Runs `command`, and kills it at a random moment within `usual`.
fn kill(command: &mut Command, random: &mut Random, usual: Duration) -> Result<(), String> {
    let moment = Duration::from_micros(random.below(usual.as_micros() as usize + 1) as u64);
    run(command, b"", Some(moment)).map(drop)
}

fn model() -> (Scratch, String, u64) {
    let scratch = Scratch::new();
    let model = wide_model(&scratch);
    let bytes = scratch.path().join("model.safetensors").metadata().unwrap().len();
    (scratch, model, bytes)
}

/// Returns what `command` prints, and how long it takes.
fn usual(command: &mut Command) -> (String, Duration) {
    let start = Instant::now();
    (works(command).unwrap().stdout, start.elapsed())
}

#[test]
fn a_killed_load_leaves_a_cache_that_works() {
    let (_scratch, model, bytes) = model();
    let generate = |cache: &Path| {
        let mut command = bounded(&["generate", "--greedy", "-n", "2", "-m", &model, "Hi"], bytes, None);
        command.env("TERCET_CACHE_DIR", cache);
        command
    };
    let (expected, time) = usual(&mut generate(Scratch::new().path()));
    play(3, |random, cache| {
        kill(&mut generate(cache.path()), random, time)?;
        let text = works(&mut generate(cache.path()))?.stdout;
        if text == expected { Ok(()) } else { Err(format!("the text changed: {text:?}")) }
    });
}

#[test]
fn a_killed_conversion_leaves_the_old_output_or_the_new_one() {
    let (_scratch, model, bytes) = model();
    let convert = |out: &str| {
        let arguments = ["convert", "-m", &model, "-o", out, "--force"];
        bounded(&arguments, bytes, None)
    };
    let generate = |out: &str| bounded(&["generate", "--greedy", "-n", "2", "-m", out, "Hi"], bytes, None);
    for name in ["out.gguf", "out"] {
        let first = Scratch::new();
        let (_, time) = usual(&mut convert(&first.file(name)));
        let (expected, _) = usual(&mut generate(&first.file(name)));
        play(2, |random, folder| {
            let out = folder.file(name);
            let existed = random.below(2) == 1;
            if existed {
                works(&mut convert(&out))?;
            }
            kill(&mut convert(&out), random, time)?;
            if existed || Path::new(&out).exists() {
                let text = works(&mut generate(&out))?.stdout;
                if text != expected {
                    return Err(format!("the text changed: {text:?}"));
                }
            }
            works(&mut convert(&out)).map(drop)
        });
    }
}

#[test]
fn a_killed_download_is_resumed() {
    let files = FILES.map(|name| (name.to_owned(), fs::read(Path::new(TINY).join(name)).unwrap()));
    let hub = FakeHub::new(files);
    hub.misbehave(Faults { pause: Some(Duration::from_millis(5)), ..Faults::default() });
    let generate = |home: &Path| {
        let mut command =
            bounded(&["generate", "--greedy", "-n", "2", "-m", "hf:tiny/bitnet", "Hi"], 1 << 20, None);
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", home);
        command
    };
    let (expected, time) = usual(&mut generate(Scratch::new().path()));
    play(3, |random, home| {
        kill(&mut generate(home.path()), random, time)?;
        kill(&mut generate(home.path()), random, time)?;
        let text = works(&mut generate(home.path()))?.stdout;
        if text == expected { Ok(()) } else { Err(format!("the text changed: {text:?}")) }
    });
}
