//! `tercet convert` leaves the old output or the new one, whatever happens.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{GGUF, Scratch, TINY, command, json, output, tercet};

/// A model whose scales divide. Those of a converted model multiply, so tensors of one and a
/// configuration of the other give another text.
const LLAMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/llama-tiny");

fn copy(from: &str, to: &str) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, Path::new(to).join(path.file_name().unwrap())).unwrap();
    }
}

/// Returns the files that must belong together, if they exist.
fn contents(model: &str) -> [Option<Vec<u8>>; 3] {
    let files = ["config.json", "model.safetensors", "model.safetensors.index.json"];
    files.map(|file| fs::read(Path::new(model).join(file)).ok())
}

#[cfg(unix)]
#[test]
fn a_killed_conversion_leaves_the_old_model_or_the_new_one() {
    let scratch = Scratch::new();
    let [converted, model] = ["converted", "model"].map(|name| scratch.file(name));
    let start = std::time::Instant::now();
    output(&["convert", "-m", LLAMA, "-o", &converted]);
    let duration = start.elapsed();
    let (old, new) = (contents(LLAMA), contents(&converted));
    assert_ne!(old, new);
    const KILLS: u32 = 24;
    for kill in 0..KILLS {
        copy(LLAMA, &model);
        let mut child = command(&["convert", "-m", &model, "-o", &model, "--force"]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(
            duration.as_micros() as u64 * u64::from(kill) / u64::from(KILLS),
        ));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = contents(&model);
        assert!(found == old || found == new, "kill {kill}");
    }
    output(&["convert", "-m", &model, "-o", &model, "--force"]);
    assert_eq!((contents(&model), scratch.files()), (new, 2), "remains of killed processes stay");
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_model() {
    let scratch = Scratch::new();
    let [model, gguf] = ["model", "model.gguf"].map(|name| scratch.file(name));
    copy(LLAMA, &model);
    fs::copy(GGUF, &gguf).unwrap();
    for (source, out) in [(&model, &model), (&gguf, &gguf), (&gguf, &scratch.file("new"))] {
        let program = command(&["convert", "-m", source, "-o", out, "--force"]);
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(program.get_program());
        let ran = limited.args(program.get_args()).current_dir(scratch.path()).output().unwrap();
        let message = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{message}");
        assert!(message.starts_with("error: cannot write") && message.lines().count() == 1, "{message}");
        assert!(message.contains(out.as_str()), "{message}");
    }
    assert_eq!(contents(&model), contents(LLAMA));
    assert_eq!(fs::read(&gguf).unwrap(), fs::read(GGUF).unwrap());
    assert_eq!(scratch.files(), 2);
}

#[test]
fn a_model_may_be_converted_in_place() {
    let scratch = Scratch::new();
    let gguf = scratch.file("model.gguf");
    fs::copy(GGUF, &gguf).unwrap();
    let text =
        |model: &str| output(&["generate", "-m", model, "--greedy", "-n", "8", "--prompt-ids", "1,5,9"]);
    let expected = text(GGUF);
    output(&["convert", "-m", &gguf, "-o", &gguf, "--force", "--type", "tq2_0"]);
    assert_eq!(text(&gguf), expected);

    // A directory that holds the source, too.
    let folder = scratch.file("folder");
    fs::create_dir(&folder).unwrap();
    fs::rename(&gguf, Path::new(&folder).join("model.gguf")).unwrap();
    let source = format!("{folder}/model.gguf");
    output(&["convert", "-m", &source, "-o", &folder, "--force"]);
    assert_eq!((text(&folder), text(&source)), (expected.clone(), expected));

    // A file is no place for a directory.
    let ran = tercet(&["convert", "-m", GGUF, "-o", &source, "--to", "safetensors", "--force"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("Not a directory"), "{}", ran.stderr);
}

#[test]
fn differences_are_warnings_and_part_of_the_json() {
    let scratch = Scratch::new();
    let out = scratch.file("m.gguf");
    let ran = tercet(&["convert", "-m", TINY, "-o", &out, "--type", "tq2_0"]);
    assert_eq!((ran.status, ran.stdout.lines().count()), (Some(0), 1));
    assert!(ran.stderr.contains("warning: llama.cpp gives another text"), "{}", ran.stderr);
    for flags in [&["--force"][..], &["--force", "--no-check"]] {
        let told = json(&[&["convert", "-m", TINY, "-o", &out, "--type", "tq2_0"], flags].concat());
        assert!(told["differences"][0].as_str().unwrap().contains("SiLU"), "{told}");
    }
    assert_eq!(json(&["convert", "-m", TINY, "-o", &out, "--force"])["differences"], serde_json::json!([]));
}
