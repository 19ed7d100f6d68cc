use serde_json::json;

use super::*;

const BYTES: &str =
    r#"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#;

/// Returns the files of a model whose vocabulary is `a`, `b` and `c`.
fn files(others: &[(&'static str, Value)]) -> ModelFiles {
    let mut tokenizer = json!({
        "version": "1.0", "added_tokens": [{"id": 2, "content": "c", "special": false}],
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2}, "merges": []},
    });
    let mut files = Vec::new();
    for (name, value) in others {
        match *name {
            "decoder" => tokenizer["decoder"] = value.clone(),
            name => files.push((name, &*value.to_string().into_bytes().leak())),
        }
    }
    files.push((FILE, tokenizer.to_string().into_bytes().leak()));
    ModelFiles::embedded("tiny".into(), files.leak())
}

fn tokens(files: &ModelFiles) -> Vec<(u64, String, bool)> {
    let outline = TokenizerSource::load(files).unwrap().outline().unwrap();
    let tokens = outline.added_tokens.iter().map(|token| AddedToken::parse(token).unwrap());
    tokens.map(|token| (token.id, token.content.clone(), token.json()["special"] == true)).collect()
}

#[test]
fn a_post_processor_frames_a_text() {
    let template = |single: Value| {
        let special = json!({"B": {"id": "B", "ids": [5, 6], "tokens": ["x", "y"]}});
        json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special})
    };
    let (token, text) = (json!({"SpecialToken": {"id": "B"}}), json!({"Sequence": {"id": "A"}}));
    let roberta = json!({"type": "RobertaProcessing", "cls": ["c", 1], "sep": ["s", 2]});
    let bytes: Value = serde_json::from_str(BYTES).unwrap();
    for (processor, before, after) in [
        (Value::Null, vec![], vec![]),
        (bytes.clone(), vec![], vec![]),
        (template(json!([text])), vec![], vec![]),
        (template(json!([token, text])), vec![5, 6], vec![]),
        (template(json!([text, token])), vec![], vec![5, 6]),
        (
            json!({"type": "Sequence", "processors": [bytes, roberta, template(json!([token, text]))]}),
            vec![5, 6, 1],
            vec![2],
        ),
        (roberta, vec![1], vec![2]),
    ] {
        assert_eq!(Frame::of(&processor), Some(Frame { before, after }), "{processor}");
    }
    assert_eq!(Frame::of(&json!({"type": "TemplateProcessing", "single": [token]})), None);
}

#[test]
fn a_file_that_no_setting_changes_is_kept() {
    let plain = files(&[("tokenizer_config.json", json!({"add_bos_token": true}))]);
    let source = TokenizerSource::load(&plain).unwrap();
    assert_eq!(&*source.json, &*plain.get(FILE).unwrap());
    assert_eq!(source.special_token("unk_token"), None);
    let named = files(&[("tokenizer_config.json", json!({"unk_token": "c"}))]);
    assert_eq!(TokenizerSource::load(&named).unwrap().special_token("unk_token"), Some("c"));
    assert_eq!(tokens(&named), [(2, "c".to_owned(), true)]);
}

#[test]
fn tokens_of_the_settings_are_added_in_order_and_numbered_like_the_crate() {
    let listed = json!({"9": {"content": "x", "special": true}, "7": {"content": "y"}, "2": {"content": "c", "special": true}});
    let settings = json!({"added_tokens_decoder": listed, "eos_token": "a", "pad_token": "p", "extra_special_tokens": ["e"]});
    let found = tokens(&files(&[
        ("tokenizer_config.json", settings),
        ("special_tokens_map.json", json!({"bos_token": "s"})),
    ]));
    let expected =
        [(2, "c", true), (3, "y", false), (4, "x", true), (0, "a", true), (5, "p", true), (6, "e", true)];
    assert_eq!(found, expected.map(|(id, content, special)| (id, content.to_owned(), special)));
}

#[test]
fn older_files_count_if_the_settings_list_no_tokens() {
    let found = tokens(&files(&[
        ("tokenizer_config.json", json!({"bos_token": "a"})),
        ("special_tokens_map.json", json!({"bos_token": {"content": "s", "lstrip": true}})),
        ("added_tokens.json", json!({"s": 8, "t": 5})),
    ]));
    let expected = [(2, "c", false), (3, "t", false), (4, "s", true)];
    assert_eq!(found, expected.map(|(id, content, special)| (id, content.to_owned(), special)));
}

#[test]
fn a_class_builds_the_pipeline_unless_the_file_is_byte_level() {
    let class = ("tokenizer_config.json", json!({"tokenizer_class": "LlamaTokenizerFast", "legacy": true}));
    let built = TokenizerSource::load(&files(std::slice::from_ref(&class))).unwrap();
    let built: Value = serde_json::from_slice(&built.json).unwrap();
    assert_eq!(built["pre_tokenizer"]["prepend_scheme"], "always");
    assert_eq!(built["model"]["byte_fallback"], true);
    let bytes = serde_json::from_str(BYTES).unwrap();
    let kept = TokenizerSource::load(&files(&[class, ("decoder", bytes)])).unwrap();
    let kept: Value = serde_json::from_slice(&kept.json).unwrap();
    assert_eq!(kept["decoder"]["type"], "ByteLevel");
}

#[test]
fn malformed_settings_are_named() {
    for (file, value, message) in [
        (
            "tokenizer_config.json",
            json!({"added_tokens_decoder": {"x": {"content": "y"}}}),
            "added_tokens_decoder",
        ),
        ("tokenizer_config.json", json!({"bos_token": 5}), "bos_token"),
        ("tokenizer_config.json", json!({"extra_special_tokens": [5]}), "extra_special_tokens"),
        ("tokenizer_config.json", json!({"split_special_tokens": "no"}), "split_special_tokens"),
        ("added_tokens.json", json!({"x": "y"}), "is not a map"),
        ("special_tokens_map.json", json!({"eos_token": 5}), "eos_token"),
    ] {
        let error = TokenizerSource::load(&files(&[(file, value)])).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(message), "{error}");
    }
}
