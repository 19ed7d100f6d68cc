//! Damaged files of every format, in every command that reads them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{bounded, play, run};
use crate::harness::{GGUF, Scratch, TINY, command, finish};
use crate::models::FILES;
use crate::mutations::{Random, mutate_bytes};

/// Sharded tensors without a tokenizer.
const SHARDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/llama-tiny");

/// A file's name and contents.
type Contents = (String, Vec<u8>);

/// Returns the models that are damaged: the files of each, and the name under which it is opened.
fn models() -> Vec<(Vec<Contents>, &'static str)> {
    let read = |dir: &str, names: &[&str]| -> Vec<Contents> {
        names.iter().map(|name| ((*name).to_owned(), fs::read(Path::new(dir).join(name)).unwrap())).collect()
    };
    let scratch = Scratch::new();
    let whole = scratch.file("whole.gguf");
    assert_eq!(finish(&mut command(&["convert", "-m", TINY, "-o", &whole])).status, Some(0));
    let mut sharded = read(TINY, &["tokenizer.json", "tokenizer_config.json"]);
    sharded.extend(read(
        SHARDED,
        &[
            "config.json",
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ],
    ));
    vec![
        (read(TINY, &FILES), ""),
        (sharded, ""),
        (vec![("m.gguf".to_owned(), fs::read(whole).unwrap())], "m.gguf"),
        (vec![("m.gguf".to_owned(), fs::read(GGUF).unwrap())], "m.gguf"),
    ]
}

#[test]
fn damaged_models_are_run_or_refused() {
    let models = models();
    play(60, |random, scratch| {
        let (files, opened) = random.pick(&models);
        let damaged = random.below(files.len());
        let mut bytes = 0;
        for (i, (name, contents)) in files.iter().enumerate() {
            let mut contents = contents.clone();
            if i == damaged {
                damage(name, &mut contents, random);
            }
            bytes += contents.len() as u64;
            fs::write(scratch.path().join(name), contents).unwrap();
        }
        let (model, out) = (scratch.file(opened), scratch.file("out"));
        let gguf = scratch.file("out.gguf");
        let (arguments, input): (&[&str], &[u8]) = match random.below(8) {
            0..3 => (&["generate", "-m", &model, "-n", "2", "the king"], b""),
            3..5 => (&["chat", "-m", &model, "-n", "2"], b"the king\nthe queen\n"),
            5 => (&["info", "-m", &model], b""),
            6 => (&["convert", "-m", &model, "-o", &gguf], b""),
            _ => (&["convert", "-m", &model, "-o", &out], b""),
        };
        run(&mut bounded(arguments, bytes, None), input, None).map(drop)
    });
}

/// A template is mutated alone, because a random file of a model is rarely the template.
#[test]
fn damaged_templates_are_rendered_or_refused() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/chat");
    let mut seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    let templates: Vec<Vec<u8>> = seeds.iter().map(|seed| fs::read(seed).unwrap()).collect();
    play(60, |random, scratch| {
        let mut template = random.pick(&templates).clone();
        damage("chat_template.jinja", &mut template, random);
        for name in FILES {
            fs::copy(Path::new(TINY).join(name), scratch.path().join(name)).unwrap();
        }
        fs::write(scratch.file("chat_template.jinja"), template).unwrap();
        let model = scratch.file("");
        let arguments = ["chat", "-m", &model, "-n", "2", "--system", "Be brief."];
        run(&mut bounded(&arguments, 0, None), b"the king\nthe queen\n", None).map(drop)
    });
}

/// Changes the contents of a file once to three times.
fn damage(name: &str, contents: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let json =
            if name.ends_with(".json") { serde_json::from_slice::<Value>(contents).ok() } else { None };
        match json {
            _ if name.ends_with(".jinja") && random.below(4) > 0 => damage_template(contents, random),
            Some(mut json) if random.below(4) > 0 => {
                damage_value(&mut json, random);
                *contents = serde_json::to_vec(&json).unwrap();
            }
            // Most of a file of tensors are weights. Its beginning describes them.
            None if contents.len() > 4096 && random.below(4) > 0 => {
                let rest = contents.split_off(4096);
                mutate_bytes(contents, random);
                contents.extend(rest);
            }
            _ => mutate_bytes(contents, random),
        }
    }
}

/// Deletes, copies or swaps pieces that end at a delimiter, or inserts a text.
fn damage_template(contents: &mut Vec<u8>, random: &mut Random) {
    let template = String::from_utf8_lossy(contents).into_owned();
    let mut pieces: Vec<&str> = template.split_inclusive(['{', '}', '|', '(', ' ']).collect();
    let at = random.below(pieces.len() + 1);
    let other = random.below(pieces.len() + 1);
    match random.below(4) {
        0 if at < pieces.len() => _ = pieces.remove(at),
        1 if other < pieces.len() => pieces.insert(at, pieces[other]),
        2 if at.max(other) < pieces.len() => pieces.swap(at, other),
        _ => pieces.insert(at, TEXTS[random.below(TEXTS.len())]),
    }
    *contents = pieces.concat().into_bytes();
}

/// Replaces a random value in `value`, or changes a text.
fn damage_value(value: &mut Value, random: &mut Random) {
    match value {
        Value::Object(fields) if !fields.is_empty() && random.below(8) > 0 => {
            let field = random.below(fields.len());
            damage_value(fields.values_mut().nth(field).unwrap(), random);
        }
        Value::Array(items) if !items.is_empty() && random.below(8) > 0 => {
            let item = random.below(items.len());
            damage_value(&mut items[item], random);
        }
        Value::String(text) if random.below(2) > 0 => {
            let at = (0..=random.below(text.len() + 1)).rev().find(|&at| text.is_char_boundary(at));
            text.insert_str(at.unwrap_or(0), TEXTS[random.below(TEXTS.len())]);
        }
        _ => *value = odd_value(random),
    }
}

/// Texts that mean something to a template, a tokenizer or a terminal.
const TEXTS: [&str; 14] = [
    "{% set x = namespace(s='x') %}{% for i in range(99) %}{% set x.s = x.s ~ x.s %}{% endfor %}",
    "{% include 'config.json' %}",
    "{{ [messages] * 99999999 }}",
    "{{ '%099999999d' % 1 }}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ raise_exception('no') }}",
    "{{ messages[99999999].content | tojson }}",
    "\u{1b}[2J",
    "▁\u{0}\u{301}",
    "(((((((((((((a*)*)*)*)*)*)*)*)*)*)*)*)*",
    "<|eot_id|>",
    " ",
];

fn odd_value(random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(1e308),
        6 => json!(65536),
        7 => json!(""),
        8 => json!("x".repeat(100_000)),
        9 => json!([]),
        10 => json!({}),
        _ => (0..100).fold(json!(1), |inner, _| json!([inner])),
    }
}
