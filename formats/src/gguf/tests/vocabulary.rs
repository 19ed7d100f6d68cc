//! Vocabularies that are slightly off. The expected values follow llama.cpp's `llama_vocab::impl::load`.

use serde_json::{Value, json};

use super::*;
use crate::gguf::vocabulary::Vocabulary;

/// The metadata of a file with the vocabulary `tokens`, without merges, scores or kinds.
fn metadata(model: &str, tokens: &[&str]) -> GgufHeader {
    let mut header = GgufHeader::default();
    header.text("general.architecture", "llama");
    header.text("tokenizer.ggml.model", model);
    if model == "gpt2" {
        header.text("tokenizer.ggml.pre", "qwen2");
    }
    header.texts("tokenizer.ggml.tokens", tokens.iter().copied());
    header
}

/// The same with an empty list of merges.
fn bpe(tokens: &[&str]) -> GgufHeader {
    let mut header = metadata("gpt2", tokens);
    header.texts("tokenizer.ggml.merges", [].into_iter());
    header
}

fn read(header: &GgufHeader) -> GgufFile {
    GgufFile::open(header.bytes().into(), "m.gguf").unwrap()
}

fn ends(file: &GgufFile) -> Vec<usize> {
    Vocabulary::read(file).unwrap().unwrap().ends
}

fn tokenizer(header: &GgufHeader) -> Value {
    read(header).json("tokenizer.json").unwrap().unwrap()
}

/// Asserts that the tokenizer is refused with a message that holds each of `parts`.
fn refused(header: &GgufHeader, parts: &[&str]) {
    let message = read(header).json("tokenizer.json").unwrap_err().to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

/// Asserts that reading the tokenizer causes one warning, which holds each of `parts`.
fn warned(header: &GgufHeader, parts: &[&str]) -> Value {
    let files = ModelFiles::in_gguf("m".into(), read(header));
    let json = files.get("tokenizer.json").unwrap();
    files.get("tokenizer_config.json").unwrap();
    let warnings = files.warnings();
    assert!(warnings.len() == 1 && warnings[0].starts_with("m.gguf: "), "{warnings:?}");
    assert!(parts.iter().all(|part| warnings[0].contains(part)), "{warnings:?}");
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn known_end_tokens_end_answers_whatever_their_kind() {
    let texts = [
        "<|eot_id|>",
        "<|im_end|>",
        "<end_of_turn>",
        "<|end|>",
        "<|endoftext|>",
        "</s>",
        "<eos>",
        "[EOS]",
        "<|end_of_text|>",
        "<｜end▁of▁sentence｜>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
    ];
    for text in texts {
        for kinds in [None, Some([1, 1, 1]), Some([1, 4, 1]), Some([1, 3, 1]), Some([1, 5, 1])] {
            let mut header = bpe(&["a", text, "<|other|>"]);
            if let Some(kinds) = &kinds {
                header.signed_list("tokenizer.ggml.token_type", kinds);
            }
            assert_eq!(ends(&read(&header)), [1], "{text} {kinds:?}");
            let added = &tokenizer(&header)["added_tokens"];
            assert_eq!(added.as_array().map(Vec::len), Some(1), "{added}");
            assert_eq!((&added[0]["id"], &added[0]["special"]), (&json!(1), &json!(true)));
        }
    }
}

#[test]
fn end_tokens_that_the_metadata_name_come_first() {
    let mut header = bpe(&["</s>", "a", "b", "c"]);
    for (role, id) in [("eos", 2), ("eot", 3), ("eom", 1)] {
        header.unsigned(&format!("tokenizer.ggml.{role}_token_id"), id);
    }
    assert_eq!(ends(&read(&header)), [2, 3, 1, 0]);
}

#[test]
fn tokens_that_end_answers_in_other_families_do_not_end_them() {
    let harmony = bpe(&["<|end|>", "<|return|>", "<|call|>", "<|start|>"]);
    assert_eq!(ends(&read(&harmony)), [1, 2]);
    let specials: Vec<bool> = (tokenizer(&harmony)["added_tokens"].as_array().unwrap().iter())
        .map(|token| token["special"].as_bool().unwrap())
        .collect();
    assert_eq!(specials, [false, true, true, false]);
    assert_eq!(ends(&read(&bpe(&["</s>", "<|tool_response>", "<eos>"]))), [1, 2]);
    // The key names another token, so the text does not count.
    let mut filler = bpe(&["<|fim_pad|>", "x"]);
    filler.unsigned("tokenizer.ggml.fim_pad_token_id", 1);
    assert_eq!(ends(&read(&filler)), [1]);
    assert_eq!(tokenizer(&filler)["added_tokens"], json!([]));
}

#[test]
fn byte_level_bpe_needs_merges() {
    refused(&metadata("gpt2", &["a", "b"]), &["m.gguf", "tokenizer.ggml.merges", "is missing"]);
}

#[test]
fn merges_of_unknown_tokens_are_skipped_with_a_warning() {
    let mut header = metadata("gpt2", &["a", "b", "ab", " ", "  "]);
    header.texts("tokenizer.ggml.merges", ["a b", "a c", "b a", "ab", "", "a b", "   "].into_iter());
    let json = warned(&header, &["4 of 7 entries of tokenizer.ggml.merges"]);
    assert_eq!(json["model"]["merges"], json!([["a", "b"], [" ", " "]]));
}

#[test]
fn special_ids_out_of_range_are_ignored_with_a_warning() {
    for role in ["eos", "eot", "eom", "unknown", "padding", "seperator", "mask", "fim_pre"] {
        let mut header = bpe(&["a", "b", "<|im_end|>"]);
        let key = format!("tokenizer.ggml.{role}_token_id");
        header.unsigned(&key, u32::MAX);
        warned(&header, &[&key, "4294967295", "not a token"]);
        assert_eq!(ends(&read(&header)), [2]);
    }
    let mut header = metadata("llama", &["<unk>", "<s>", "<x>"]);
    header.floats("tokenizer.ggml.scores", &[0.0; 3]);
    header.unsigned("tokenizer.ggml.bos_token_id", 3);
    let json = warned(&header, &["bos_token_id is 3", "read as 1"]);
    assert_eq!(json["post_processor"]["special_tokens"]["<s>"]["ids"], json!([1]));
}

#[test]
fn a_start_token_that_texts_need_must_exist() {
    let mut header = bpe(&["a", "b"]);
    header.unsigned("tokenizer.ggml.bos_token_id", 2);
    warned(&header, &["bos_token_id is 2"]);
    header.flag("tokenizer.ggml.add_bos_token", true);
    refused(&header, &["tokenizer.ggml.bos_token_id: 2 is not a token"]);
}

/// Returns the tokens that every text gets before and after it, with keys of these values.
fn frame(model: &str, pre: Option<&str>, flags: [Option<bool>; 2], ids: [Option<u32>; 2]) -> [Vec<u32>; 2] {
    let mut header = GgufHeader::default();
    header.text("general.architecture", "llama");
    header.text("tokenizer.ggml.model", model);
    let tokens = ["<unk>", "<s>", "</s>", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    header.texts("tokenizer.ggml.tokens", tokens.into_iter());
    match model {
        "gpt2" => header.texts("tokenizer.ggml.merges", [].into_iter()),
        _ => header.floats("tokenizer.ggml.scores", &[0.0; 13]),
    }
    pre.iter().for_each(|pre| header.text("tokenizer.ggml.pre", pre));
    for (role, (flag, id)) in ["bos", "eos"].into_iter().zip(flags.into_iter().zip(ids)) {
        flag.iter().for_each(|flag| header.flag(&format!("tokenizer.ggml.add_{role}_token"), *flag));
        id.iter().for_each(|id| header.unsigned(&format!("tokenizer.ggml.{role}_token_id"), *id));
    }
    let frame = crate::Frame::of(&tokenizer(&header)["post_processor"]).unwrap();
    [frame.before, frame.after]
}

#[test]
fn texts_begin_and_end_as_in_llama_cpp() {
    let ids = [Some(3), Some(4)];
    let (both, neither) = ([Some(true); 2], [Some(false); 2]);
    for (model, pre, starts) in [
        ("gpt2", Some("llama-bpe"), true),
        ("gpt2", Some("llama3"), true),
        ("gpt2", Some("llama-v3"), true),
        ("gpt2", Some("falcon3"), true),
        ("gpt2", Some("falcon-h1"), true),
        ("gpt2", Some("qwen2"), false),
        ("gpt2", Some("deepseek-r1-qwen"), false),
        ("gpt2", Some("gpt-2"), false),
        ("gpt2", Some("mpt"), false),
        ("gpt2", Some("olmo"), false),
        ("gpt2", Some("default"), false),
        ("gpt2", None, false),
        ("llama", None, true),
        ("llama", Some("default"), true),
    ] {
        let start = if starts { vec![3] } else { vec![] };
        assert_eq!(frame(model, pre, [None; 2], ids), [start, vec![]], "{model} {pre:?}");
        assert_eq!(frame(model, pre, both, ids), [[3], [4]], "{model} {pre:?}");
        assert_eq!(frame(model, pre, neither, ids), [[0; 0]; 2], "{model} {pre:?}");
        let usual = if model == "llama" { [[1], [2]] } else { [[11], [11]] };
        assert_eq!(frame(model, pre, both, [None; 2]), usual, "{model} {pre:?}");
        assert_eq!(frame(model, pre, both, [Some(99); 2]), usual, "{model} {pre:?}");
    }
}

/// Programs change these keys. Then the original is of another model.
#[test]
fn an_original_with_another_start_or_end_does_not_count() {
    let original = |before: &[u32], after: &[u32]| {
        let special = |id: &u32| json!({ "SpecialToken": { "id": format!("{id}"), "type_id": 0 } });
        let mut single: Vec<Value> = before.iter().map(special).collect();
        single.push(json!({ "Sequence": { "id": "A", "type_id": 0 } }));
        single.extend(after.iter().map(special));
        let ids = |id: u32| json!({ "id": format!("{id}"), "ids": [id], "tokens": [format!("{id}")] });
        json!({
            "version": "original", "added_tokens": [],
            "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "c": 2 }, "merges": [] },
            "post_processor": {
                "type": "TemplateProcessing", "single": single, "pair": [],
                "special_tokens": { "0": ids(0), "1": ids(1), "2": ids(2) },
            },
        })
    };
    let counts = |before: &[u32], after: &[u32], flags: [bool; 2]| {
        let mut header = bpe(&["a", "b", "c"]);
        header.unsigned("tokenizer.ggml.bos_token_id", 1);
        header.unsigned("tokenizer.ggml.eos_token_id", 2);
        header.flag("tokenizer.ggml.add_bos_token", flags[0]);
        header.flag("tokenizer.ggml.add_eos_token", flags[1]);
        header.text("tokenizer.huggingface.json", &original(before, after).to_string());
        tokenizer(&header)["version"] == "original"
    };
    for (before, after, flags) in [
        (&[][..], &[][..], [false, false]),
        (&[1], &[], [true, false]),
        (&[1], &[2], [true, true]),
        // GGUF has no keys for a second token, nor for another end than EOS.
        (&[1, 0], &[0], [true, false]),
    ] {
        for other in [[false, false], [false, true], [true, false], [true, true]] {
            assert_eq!(counts(before, after, other), other == flags, "{before:?} {after:?} {other:?}");
        }
    }
    assert!(!counts(&[0], &[], [true, false]), "the file begins texts with another token");
}

#[test]
fn kinds_and_scores_may_be_longer_unknown_or_missing() {
    let mut header = bpe(&["a", "b"]);
    header.signed_list("tokenizer.ggml.token_type", &[1, 9, 3]);
    assert_eq!(tokenizer(&header)["added_tokens"], json!([]));
    let mut header = bpe(&["a", "b"]);
    header.signed_list("tokenizer.ggml.token_type", &[1]);
    refused(&header, &["tokenizer.ggml.token_type: 1 types of 2 tokens"]);

    let tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab"];
    let json = warned(&metadata("llama", &tokens), &["tokenizer.ggml.scores is missing"]);
    assert_eq!(json["model"]["merges"], json!([["a", "b"]]));
    let mut header = metadata("llama", &tokens);
    header.floats("tokenizer.ggml.scores", &[0.0; 7]);
    assert_eq!(tokenizer(&header), json);
}

#[test]
fn empty_and_repeated_tokens_keep_the_ids_of_the_others() {
    let json = warned(&bpe(&["a", "", "a", "b", ""]), &["1 of 5 tokens repeat"]);
    assert_eq!(json["model"]["vocab"], json!({"a": 0, "[EMPTY_1]": 1, "b": 3, "[EMPTY_4]": 4}));
    let mut header = metadata("llama", &["<unk>", "<s>", "</s>", "a", "aa", "aa", "a"]);
    header.floats("tokenizer.ggml.scores", &[0.0; 7]);
    assert_eq!(tokenizer(&header)["model"]["merges"], json!([["a", "a"]]));
}

/// Each of these vocabularies took seconds and gigabytes.
#[test]
fn pieces_that_merge_in_countless_ways_are_refused_at_once() {
    let pieces: Vec<String> = (0..20_000).map(|i| "a".repeat(i % 512 + 1)).collect();
    let distinct: Vec<String> = (1..5_000).map(|length| "a".repeat(length)).collect();
    for pieces in [&pieces[..2_000], &pieces, &distinct] {
        let tokens: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let mut header = metadata("llama", &tokens);
        header.floats("tokenizer.ggml.scores", &vec![0.0; tokens.len()]);
        let start = std::time::Instant::now();
        refused(&header, &["m.gguf", "tokenizer.ggml.tokens", "many pieces"]);
        assert!(start.elapsed().as_secs() < 2);
    }
    let short: Vec<&str> = (0..20_000).map(|i| ["a", "aa", "aaaa"][i % 3]).collect();
    let mut header = metadata("llama", &short);
    header.floats("tokenizer.ggml.scores", &vec![0.0; short.len()]);
    assert_eq!(tokenizer(&header)["model"]["merges"], json!([["aa", "aa"], ["a", "a"]]));
}

/// llama.cpp reads the default template and `tool_use`, by their keys. gguf-py also writes a list of the other names.
#[test]
fn chat_templates_are_read_by_their_names() {
    let templates = |header: &GgufHeader| {
        let json = read(header).json("tokenizer_config.json").unwrap().unwrap();
        json.get("chat_template").cloned()
    };
    let mut header = bpe(&["a"]);
    assert_eq!(templates(&header), None);
    header.text("tokenizer.chat_template", "d");
    assert_eq!(templates(&header), Some(json!("d")));
    header.text("tokenizer.chat_template.tool_use", "t");
    let named = |name: &str, text: &str| json!({"name": name, "template": text});
    assert_eq!(templates(&header), Some(json!([named("default", "d"), named("tool_use", "t")])));
    header.texts("tokenizer.chat_templates", ["rag", "tool_use"].into_iter());
    warned(&header, &["tokenizer.chat_template.rag", "listed"]);
    header.text("tokenizer.chat_template.rag", "r");
    let all = json!([named("default", "d"), named("rag", "r"), named("tool_use", "t")]);
    assert_eq!(templates(&header), Some(all));
}
