//! `tercet info`, `perplexity` and the help texts.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tercet::codegen::Isa;
use tercet::cpu::Cpu;

use crate::harness::{FAIRY_TALES, Scratch, TINY, assert_fields, json, output, tercet, usable_isas};

#[test]
fn info_has_the_documented_fields() {
    let info = json(&["info"]);
    assert_fields(
        &info,
        &[
            "cpu",
            "isa",
            "isa_reason",
            "threads",
            "threads_reason",
            "affinity",
            "quota",
            "packing",
            "model",
            "context",
            "memory",
            "plans",
            "knobs",
            "profile",
        ],
    );
    assert_eq!(info["isa"], usable_isas()[0]);
    assert_eq!(info["context"], 512);
    assert_eq!(info["cpu"]["fingerprint"], Isa::fingerprint(Cpu::host()));
    assert_fields(
        &info["memory"],
        &["ternary", "embedding", "head", "screen", "cache_per_token", "cache", "total"],
    );
    assert_eq!(info["memory"]["cache"].as_u64().unwrap(), 512 * 2 * 6 * 2 * 64 * 2);
    assert_eq!(info["plans"].as_array().unwrap().len(), 4);
    for plan in info["plans"].as_array().unwrap() {
        assert_fields(plan, &["n", "k", "decode", "pair", "few", "prefill", "skips_columns", "skips_rows"]);
        assert_fields(&plan["decode"], &["kernel", "origin"]);
    }
    assert_eq!(info["knobs"].as_array().unwrap().len(), tercet::knobs::all().count());
}

#[test]
fn info_gives_reasons() {
    let text =
        output(&["info", "--isa", "portable", "--threads", "1", "--packing", "1.6bit", "--context", "100"]);
    for words in
        ["portable: as asked for", "1: as asked for", "1.6bit", "for 100", "fairy-tales", "TERCET_ISA"]
    {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

/// Writes the beginning of the validation text to a file, and returns its path.
fn short_text(scratch: &Scratch) -> String {
    let text = fs::read_to_string(Path::new(FAIRY_TALES).join("valid.txt")).unwrap();
    let path = scratch.file("text");
    fs::write(&path, text.chars().take(1500).collect::<String>()).unwrap();
    path
}

#[test]
fn info_profiles_a_text() {
    let scratch = Scratch::new();
    let text = &short_text(&scratch);
    let profile = &json(&["info", "--profile", text])["profile"];
    let layers = profile["layers"].as_array().unwrap();
    // A mean gate is as often positive as not, and trained ones with ReLU² are sparser.
    let share = |layer: &Value, name: &str| layer[name].as_f64().unwrap();
    assert!(
        layers.len() == 6
            && layers.iter().all(|layer| {
                (0.5..0.9).contains(&share(layer, "gates_not_positive"))
                    && share(layer, "zeros_into_down") > share(layer, "gates_not_positive")
            }),
        "{profile}"
    );
    assert!((3.0..12.0).contains(&profile["best"].as_f64().unwrap()), "{profile}");
    // The exact mode rounds the same elements to zero, but for those on the edge.
    let exact = &json(&["info", "--mode", "exact", "--profile", text])["profile"];
    let difference = share(&exact["layers"][0], "zeros_into_down") - share(&layers[0], "zeros_into_down");
    assert!(difference.abs() < 0.01, "{exact}");
    assert!(output(&["info", "--profile", text]).contains("deviations above the mean"));
}

#[test]
fn a_recorded_cpu_is_read_back() {
    let dump = output(&["info", "--cpuid"]);
    let as_json = json(&["info", "--cpuid"]);
    // Some CPUID leaves differ between cores, but not those that decide the instruction sets.
    for dump in [dump.as_str(), as_json["cpuid"].as_str().unwrap()] {
        assert_eq!(dump.is_empty(), !cfg!(target_arch = "x86_64"));
        if !dump.is_empty() {
            // A table has AMX even if nobody asked the system for it.
            let without_amx = |cpu: &Cpu| -> Vec<Isa> {
                Isa::available(cpu).into_iter().filter(|isa| *isa != Isa::AmxInt8).collect()
            };
            assert_eq!(without_amx(&Cpu::from_dump(dump).unwrap()), without_amx(Cpu::host()));
        }
    }
}

#[test]
fn perplexity_agrees_with_transformers() {
    let expected: Value =
        serde_json::from_slice(&fs::read(Path::new(FAIRY_TALES).join("perplexity.json")).unwrap()).unwrap();
    let found = json(&["perplexity", &format!("{FAIRY_TALES}/valid.txt")]);
    assert_fields(&found, &["model", "isa", "threads", "window", "tokens", "nll", "perplexity"]);
    assert_eq!(found["window"], 511);
    assert_eq!(found["tokens"], expected["tokens"]);
    let ratio = found["perplexity"].as_f64().unwrap() / expected["perplexity"].as_f64().unwrap();
    assert!((ratio - 1.0).abs() < 0.005, "{found}, expected {expected}");
}

#[test]
fn bytes_for_keys_and_values_cost_little_perplexity() {
    let text = format!("{FAIRY_TALES}/valid.txt");
    let of =
        |kind| json(&["perplexity", "--cache-type", kind, &text])["perplexity"].as_f64().unwrap_or(f64::NAN);
    let (halves, bytes) = (of("f16"), of("q8"));
    assert!((bytes / halves - 1.0).abs() < 0.002 && bytes != halves, "{bytes}, with halves {halves}");
}

#[test]
fn compare_modes_reports_agreement_and_perplexities() {
    let text = format!("{FAIRY_TALES}/valid.txt");
    let found = json(&["compare-modes", "--tokens", "300", &text]);
    let fields = ["model", "isa", "threads", "window", "tokens", "top1_agreement", "fast", "exact"];
    assert_fields(&found, &fields);
    assert_eq!(found["tokens"], 300);
    let of = |found: &Value, mode: &str| found[mode]["perplexity"].as_f64().unwrap();
    let agreement = found["top1_agreement"].as_f64().unwrap();
    assert!(agreement > 0.97 && (of(&found, "fast") / of(&found, "exact") - 1.0).abs() < 0.01, "{found}");
    let unrounded = json(&["compare-modes", "--tokens", "300", "--activations", "f32", &text]);
    assert_eq!(of(&unrounded, "fast"), of(&found, "fast"));
    assert_ne!(of(&unrounded, "exact"), of(&found, "exact"));
    let shown = output(&["compare-modes", "--tokens", "20", &text]);
    assert!(shown.contains("same best token") && shown.contains("perplexity, exact"), "{shown}");
}

#[test]
fn embeddings_are_numbers_comparisons_or_json() {
    const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/embedding-tiny");
    let texts = ["The sea is wide.", "A wide sea", "Bread"];
    let embed = |more: &[&str]| output(&[&["embed", "-m", MODEL], more, &texts].concat());
    let parse = |line: &str| line.split(' ').map(|x| x.parse().unwrap()).collect::<Vec<f32>>();
    let vectors: Vec<Vec<f32>> = embed(&[]).lines().map(parse).collect();
    assert!(vectors.len() == 3 && vectors.iter().all(|vector| vector.len() == 128));

    let found = json(&[&["embed", "-m", MODEL, "--compare"][..], &texts].concat());
    assert_fields(&found, &["model", "isa", "threads", "dimensions", "texts", "cosine"]);
    assert_fields(&found["texts"][0], &["tokens", "embedding"]);
    let cosine = tercet::cosine(&vectors[0], &vectors[2]);
    assert!((found["cosine"][1].as_f64().unwrap() - cosine).abs() < 1e-6);

    let shown = embed(&["--compare", "--query"]);
    assert!(shown.starts_with("The sea is wide.\n") && shown.lines().count() == 3, "{shown}");
    assert_ne!(shown, embed(&["--compare"]));
    let refused = |arguments: &[&str], part: &str| {
        let ran = tercet(&[&["embed"][..], arguments].concat());
        assert!(ran.status == Some(2) && ran.stderr.contains(part), "{arguments:?}: {ran:?}");
    };
    refused(&["a"], "--model: \"fairy-tales\" has no embeddings");
    refused(&["-m", MODEL, "--dimensions", "7", "a"], "--dimensions: 7");
    refused(&["-m", MODEL, "--compare", "a"], "only one");
}

#[test]
fn the_help_of_every_command_has_examples() {
    for command in [
        "generate",
        "chat",
        "info",
        "dump",
        "embed",
        "perplexity",
        "compare-modes",
        "tune",
        "verify",
        "bench",
    ] {
        let help = output(&[command, "--help"]);
        assert!(help.contains("Examples:") && help.contains("JSON"), "{help}");
        assert!(output(&["--help"]).contains(command));
    }
}

#[test]
fn output_to_a_pipe_has_no_colour() {
    for arguments in [&["info"][..], &["dump", "--list"], &["--help"], &["generate", "Once", "-n", "2"]] {
        assert!(!output(arguments).contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn options_that_a_command_does_not_heed_are_refused() {
    for arguments in [
        &["models", "--head", "int8"][..],
        &["cache", "--isa", "portable"],
        &["cache", "clear", "-m", TINY],
        &["convert", "--threads", "1", "-o", "never-written"],
        &["--model", TINY, "info"],
    ] {
        let ran = tercet(arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("unexpected argument"), "{ran:?}");
    }
}

#[test]
fn short_help_is_shorter_than_long_help() {
    for command in ["generate", "dump", "tune", "bench"] {
        let [short, long] = ["-h", "--help"].map(|flag| output(&[command, flag]));
        assert!(short.lines().count() < long.lines().count() && short.contains("Examples:"), "{short}");
    }
}
