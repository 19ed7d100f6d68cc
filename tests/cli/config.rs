//! The configuration file.

use std::fs;

use crate::harness::{Ran, Scratch, TINY, command, finish, parse};

/// Runs the program with the configuration file `text`.
fn run(text: &str, arguments: &[&str]) -> Ran {
    let home = Scratch::new();
    fs::create_dir(home.path().join("tercet")).unwrap();
    fs::write(home.path().join("tercet/config.toml"), text).unwrap();
    finish(command(arguments).env("XDG_CONFIG_HOME", home.path()))
}

fn json(text: &str, arguments: &[&str]) -> serde_json::Value {
    let ran = run(text, &[arguments, &["--json"]].concat());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    parse(&ran.stdout)
}

#[test]
fn the_file_names_the_model_and_flags_win() {
    let named = format!("model = \"tiny\"\n[aliases]\ntiny = {TINY:?}");
    let model = |arguments: &[&str]| json(&named, &[arguments, &["generate", "-n", "1", "Hi"]].concat());
    assert_eq!(model(&[])["model"], "bitnet-tiny");
    let by_flag = json(&named, &["generate", "-m", "fairy-tales", "-n", "1", "Hi"]);
    assert_eq!(by_flag["model"], "fairy-tales");
    let mut of_environment = command(&["generate", "-n", "1", "Hi", "--json"]);
    assert_eq!(
        parse(&finish(of_environment.env("TERCET_MODEL", "fairy-tales")).stdout)["model"],
        "fairy-tales"
    );
    assert!(run(&named, &["show", "tiny"]).stdout.contains("bitnet"));
}

#[test]
fn the_file_and_its_presets_decide_the_sampling() {
    let file = "[sampling]\ntemperature = 0.9\nseed = 5\n[presets.fixed]\ngreedy = true";
    let text = |arguments: &[&str]| {
        json(file, &[&["generate", "-n", "12", "The dragon"], arguments].concat())["text"].clone()
    };
    let plain = |arguments: &[&str]| {
        json("", &[&["generate", "-n", "12", "The dragon"], arguments].concat())["text"].clone()
    };
    assert_eq!(text(&[]), plain(&["-t", "0.9", "--seed", "5"]));
    assert_eq!(text(&["--seed", "6"]), plain(&["-t", "0.9", "--seed", "6"]));
    assert_eq!(text(&["--preset", "fixed"]), plain(&["--greedy"]));
    assert_eq!(text(&["--greedy"]), plain(&["--greedy"]));
}

#[test]
fn the_file_has_the_system_message() {
    let count = |file: &str, arguments: &[&str]| {
        let flags = ["generate", "--chat", "-n", "1", "Hi"];
        json(file, &[&flags[..], arguments].concat())["prompt_ids"].as_array().unwrap().len()
    };
    let file = "system = \"Be brief.\"";
    assert_eq!(count(file, &[]), count("", &["--system", "Be brief."]));
    assert!(count(file, &[]) > count("", &[]));
}

#[test]
fn a_fault_names_the_file_the_line_and_the_field() {
    let ran = run("[sampling]\nwarmth = 1", &["generate", "Hi"]);
    assert!(
        ran.status == Some(2) && ran.stderr.contains("config.toml, line 2, warmth: unknown field"),
        "{ran:?}"
    );
    let ran = run("", &["generate", "--preset", "wild", "Hi"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("--preset: there is no preset \"wild\""), "{ran:?}");
    let mut absent = command(&["generate", "Hi"]);
    let ran = finish(absent.env("TERCET_CONFIG", "/no/such/file.toml"));
    assert!(ran.status == Some(2) || ran.status == Some(1), "{ran:?}");
    assert!(ran.stderr.contains("/no/such/file.toml"), "{ran:?}");
}
