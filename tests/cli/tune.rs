//! `tercet tune` and its records.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tercet::codegen::KernelSpec;

use crate::harness::{Ran, Scratch, TINY, assert_fields, command, finish, parse};
use crate::models::wide_model;

/// Returns a command with `scratch` as the user's cache.
fn with_cache(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("TERCET_CACHE_DIR", scratch.path());
    command
}

fn run(scratch: &Scratch, arguments: &[&str]) -> Ran {
    finish(&mut with_cache(scratch, arguments))
}

fn json(scratch: &Scratch, arguments: &[&str]) -> Value {
    let ran = run(scratch, &[arguments, &["--json"]].concat());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    parse(&ran.stdout)
}

/// Returns the origins of the tiny model's plans.
fn origins(scratch: &Scratch) -> Vec<String> {
    let info = json(scratch, &["info", "-m", TINY]);
    let plans = info["plans"].as_array().unwrap().iter();
    let origins =
        plans.flat_map(|plan| ["decode", "pair", "few", "prefill"].map(|what| plan[what]["origin"].clone()));
    origins.map(|origin| origin.as_str().unwrap().to_owned()).collect()
}

#[test]
fn records_are_stored_exported_imported_and_forgotten() {
    let here = Scratch::new();
    assert!(origins(&here).iter().all(|origin| origin == "default"));
    let tuned = json(&here, &["tune", "-m", TINY, "--budget", "1"]);
    assert_fields(&tuned, &["isa", "packing", "threads", "store", "stored", "roofline", "results"]);
    assert_eq!(tuned["stored"], true);
    let results = tuned["results"].as_array().unwrap();
    for result in results {
        let fields = [
            "n",
            "k",
            "m",
            "default",
            "winner",
            "runner_up",
            "used_threads",
            "task_kib",
            "time_ns",
            "gain",
            "timed",
            "roofline_pct",
        ];
        assert_fields(result, &fields);
        assert!(result["winner"].as_str().unwrap().parse::<KernelSpec>().is_ok());
        assert!(result["gain"].as_f64().unwrap() > 0.0);
    }
    let kept = results.len();
    assert_eq!(origins(&here), vec!["stored"; kept]);

    let file = here.file("exported.json");
    let exported = json(&here, &["tune", "--export", &file]);
    assert_fields(&exported, &["store", "records"]);
    assert_eq!(exported["records"], kept);
    let there = Scratch::new();
    assert_eq!(json(&there, &["tune", "--import", &file])["records"], kept);
    assert_eq!(origins(&there), origins(&here));
    assert_eq!(json(&there, &["tune", "--forget"])["records"], kept);
    assert!(origins(&there).iter().all(|origin| origin == "default"));
}

#[test]
fn the_first_load_tunes_and_prints_a_note() {
    let scratch = Scratch::new();
    let wide = wide_model(&scratch);
    let generate =
        ["generate", "-m", &wide, "--prompt-ids", "1,2,3", "--greedy", "-n", "4", "--json", "--no-cache"];
    let cache = Scratch::new();
    let without = run(&cache, &generate);
    assert!(!without.stderr.contains("tuning") && cache.files() == 0, "{without:?}");
    let tuning = || finish(with_cache(&cache, &generate).env_remove("TERCET_NO_TUNE"));
    let flag = finish(with_cache(&cache, &generate).env_remove("TERCET_NO_TUNE").arg("--no-tune"));
    assert!(!flag.stderr.contains("tuning") && cache.files() == 0, "{flag:?}");
    let first = tuning();
    assert_eq!(first.stderr.matches("--no-tune").count(), 1, "{first:?}");
    let later = tuning();
    assert!(!later.stderr.contains("tuning"), "{later:?}");
    let ids = |ran: &Ran| parse(&ran.stdout)["ids"].clone();
    assert!(ids(&without).is_array());
    assert!([&flag, &first, &later].iter().all(|ran| ids(ran) == ids(&without)));
    let info = parse(&run(&cache, &["info", "-m", &wide, "--json"]).stdout);
    assert!(info["plans"].as_array().unwrap().iter().all(|plan| plan["decode"]["origin"] == "stored"));
}

#[test]
fn small_models_are_not_tuned() {
    let cache = Scratch::new();
    let generate = ["generate", "-m", TINY, "--prompt-ids", "1,2,3", "-n", "1"];
    let ran = finish(with_cache(&cache, &generate).env_remove("TERCET_NO_TUNE"));
    assert!(ran.status == Some(0) && !ran.stderr.contains("tuning") && cache.files() == 0, "{ran:?}");
}

#[test]
fn the_table_names_shapes_and_store() {
    let scratch = Scratch::new();
    let ran = run(&scratch, &["tune", "--shape", "64x80", "--shape", "16x400", "--budget", "0.5"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for words in ["64 × 80, 1 ", "64 × 80, 128 ", "16 × 400, 1 ", "tuning.json", "µs"] {
        assert!(ran.stdout.contains(words), "no {words:?} in {ran:?}");
    }
}

#[test]
fn a_bad_import_changes_nothing() {
    let scratch = Scratch::new();
    run(&scratch, &["tune", "--shape", "16x16", "--budget", "0.2"]);
    let store = scratch.path().join("tuning.json");
    let before = fs::read_to_string(&store).unwrap();
    let file = scratch.file("bad.json");
    fs::write(&file, before.replacen("\"n\": 16", "\"n\": 0", 1)).unwrap();
    let ran = run(&scratch, &["tune", "--import", &file]);
    assert_eq!((ran.status, ran.stderr.lines().count()), (Some(2), 1), "{ran:?}");
    assert!(ran.stderr.contains("--import") && ran.stderr.contains("bad.json"), "{ran:?}");
    assert_eq!(fs::read_to_string(&store).unwrap(), before);
    assert_eq!(run(&scratch, &["tune", "--import", &scratch.file("none.json")]).status, Some(2));
}

#[test]
fn a_damaged_store_is_only_one_warning() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("tuning.json"), "{").unwrap();
    let ran =
        run(&scratch, &["generate", "-m", TINY, "--prompt-ids", "1,2,3", "--greedy", "-n", "4", "--json"]);
    assert_eq!((ran.status, ran.stderr.matches("warning").count()), (Some(0), 1), "{ran:?}");
    assert!(ran.stderr.contains("tuning.json"), "{ran:?}");
}

#[test]
fn a_store_that_cannot_be_written_is_a_warning() {
    let scratch = Scratch::new();
    let file = scratch.file("file");
    fs::write(&file, "").unwrap();
    let mut command = command(&["tune", "--shape", "16x16", "--budget", "0.1", "--json"]);
    let ran = finish(command.env("TERCET_CACHE_DIR", format!("{file}/below")));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(parse(&ran.stdout)["stored"], false);
    assert!(ran.stderr.contains("warning") && ran.stderr.contains("tuning.json"), "{ran:?}");
}

#[test]
fn invalid_arguments_are_refused() {
    let scratch = Scratch::new();
    for arguments in [
        &["tune", "--shape", "16"][..],
        &["tune", "--shape", "0x16"],
        &["tune", "--shape", "16x99999", "--budget", "0"],
        &["tune", "--budget", "-1"],
        &["tune", "--budget", "nan"],
        &["tune", "--synthetic", "gpt-5"],
        &["tune", "--forget", "--shape", "16x16"],
        &["tune", "--forget", "--export", "x.json"],
    ] {
        let ran = run(&scratch, arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
    }
    assert_eq!(scratch.files(), 0);
}
