//! Hostile tokenizers of every kind: each works or is refused in one line, in little time and memory.

use std::time::Instant;

use serde_json::{Value, json};

use tercet_formats::TokenizerSource;

use super::super::Tokenizer;

const TINY: &[u8] = include_bytes!("../../../../tests/fixtures/bitnet-tiny/tokenizer.json");
const TEXT: &str = "hello the aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac é ▁ <|eot_id|>";

/// The fixture's tokenizer with `value` at `pointer`.
fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(TINY).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    json.to_string().into_bytes()
}

fn sequence(kind: &str, list: &str, steps: Vec<Value>) -> Value {
    json!({"type": kind, list: steps})
}

/// Puts `step` into `depth` sequences.
fn nested(list: &str, step: Value, depth: usize) -> Value {
    (0..depth).fold(step, |step, _| sequence("Sequence", list, vec![step]))
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

const REGEXES: [&str; 14] = [
    "",
    "x*",
    "$",
    "^",
    "(?=a)",
    r"\b",
    "(",
    r"\",
    "(a+)+$",
    r"((a|a)\1?)*b",
    r"\w{1000}{1000}",
    r"(?:\p{L}{100}){100}",
    "(?<=a*)b",
    "a{4294967295}",
];

fn normalizers() -> Vec<Value> {
    let chain = |step: Value, times| sequence("Sequence", "normalizers", vec![step; times]);
    let string = |text: &str| json!({"String": text});
    let mut all = vec![
        chain(replace(string("a"), "aa"), 30),
        chain(replace(string("a"), "aaaaaaaa"), 12),
        chain(replace(string("a"), "aa"), 1_000),
        replace(string("a"), &"a".repeat(5_000_000)),
        replace(string(""), "a"),
        replace(string(""), ""),
        replace(json!({"Glob": "a"}), "b"),
        chain(json!({"type": "Prepend", "prepend": "a"}), 60),
        json!({"type": "Prepend", "prepend": "a".repeat(1_000_000)}),
        json!({"type": "Prepend", "prepend": ""}),
        json!({"type": "Append", "append": "a"}),
        json!({"prepend": "a".repeat(1_000_000)}),
        chain(json!({"type": "NFKD"}), 60),
        chain(json!({"type": "Lowercase"}), 60),
        json!({"type": "Strip", "strip_left": true, "strip_right": true}),
        json!({"type": "Strip", "strip_left": 1}),
        json!({"type": "BertNormalizer"}),
        json!({"type": "Nmt"}),
        json!({"type": "StripAccents"}),
        json!({"type": "ByteLevel"}),
        chain(json!({"type": "ByteLevel"}), 30),
        chain(json!({"type": "None"}), 1),
        chain(json!({}), 1),
        json!([]),
        json!(7),
        sequence("Sequence", "normalizers", vec![]),
        sequence("Sequence", "pretokenizers", vec![]),
        sequence(
            "Sequence",
            "normalizers",
            (0..16).map(|i| replace(json!({"Regex": format!(r"\w{{{}}}", 20 + i)}), "a")).collect(),
        ),
    ];
    all.extend(REGEXES.map(|regex| replace(json!({"Regex": regex}), "ab")));
    all.extend([7, 8, 30, 100, 1_000].map(|depth| nested("normalizers", json!({"type": "NFC"}), depth)));
    // Empty, no trie, a huge trie, not base64, broken tries, and a trie that maps to long texts.
    let charsmaps =
        ["", "AAAAAA==", "/////w==", "////fwAA", "!", "BAAAAAAAAABh", "BAAAAP////9hYgBj", "BAAAAAABAABh//8="];
    all.extend(charsmaps.map(|map| json!({"type": "Precompiled", "precompiled_charsmap": map})));
    let long = format!("BAAAAAABAAA{}", "Y".repeat(4_000_001));
    all.push(json!({"type": "Precompiled", "precompiled_charsmap": long}));
    all
}

fn pre_tokenizers() -> Vec<Value> {
    let mut all = vec![
        json!({"type": "FixedLength", "length": 0}),
        json!({"type": "FixedLength", "length": 1}),
        json!({"type": "FixedLength", "length": u64::MAX}),
        json!({"type": "FixedLength", "length": -1}),
        json!({"length": 0}),
        json!({"type": "CharDelimiterSplit", "delimiter": ""}),
        json!({"type": "CharDelimiterSplit", "delimiter": "a"}),
        json!({"type": "Digits", "individual_digits": true}),
        json!({"type": "Punctuation", "behavior": "Contiguous"}),
        json!({"type": "Whitespace"}),
        json!({"type": "WhitespaceSplit"}),
        json!({"type": "BertPreTokenizer"}),
        json!({"type": "UnicodeScripts"}),
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        json!({"type": "Other"}),
    ];
    for replacement in ["", "▁", "ab", "a"] {
        for scheme in ["first", "never", "always", "twice"] {
            let step = json!({"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme});
            all.push(sequence("Sequence", "pretokenizers", vec![step.clone(); 20]));
            all.push(step);
        }
    }
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] {
        for pattern in REGEXES.map(|regex| json!({"Regex": regex})).into_iter().chain([json!({"String": ""})])
        {
            for invert in [false, true] {
                all.push(
                    json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}),
                );
            }
        }
    }
    all.push(nested("pretokenizers", json!({"type": "Whitespace"}), 60));
    all
}

fn decoders() -> Vec<Value> {
    let chain = |step: Value, times| sequence("Sequence", "decoders", vec![step; times]);
    let mut all = vec![
        chain(replace(json!({"String": "a"}), "aa"), 30),
        replace(json!({"String": "a"}), &"a".repeat(1_000_000)),
        replace(json!({"String": ""}), "a"),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
        json!({"type": "Strip", "content": "a", "start": u64::MAX, "stop": 0}),
        json!({"type": "Strip", "content": "a", "start": 0, "stop": u64::MAX}),
        json!({"type": "Strip", "content": "", "start": 1, "stop": 0}),
        json!({"type": "Strip", "content": " ", "start": -1, "stop": 0}),
        chain(json!({"type": "BPEDecoder", "suffix": ""}), 30),
        json!({"type": "BPEDecoder", "suffix": "a"}),
        json!({"type": "WordPiece", "prefix": "", "cleanup": true}),
        json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}),
        chain(json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}), 40),
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}),
        json!({"type": "Other"}),
        json!(1),
        nested("decoders", json!({"type": "Fuse"}), 60),
    ];
    all.extend(REGEXES.map(|regex| replace(json!({"Regex": regex}), "ab")));
    all
}

fn models() -> Vec<Value> {
    let vocab = json!({"a": 0, "b": 1, "##b": 2, "ab": 3, "<unk>": 4});
    let bpe = |field: &str, value: Value| {
        let mut model = json!({"type": "BPE", "vocab": vocab, "merges": [["a", "b"]]});
        model[field] = value;
        model
    };
    let piece = |kind: &str, field: &str, value: Value| {
        let mut model = json!({"type": kind, "vocab": vocab, "unk_token": "<unk>"});
        if kind == "WordPiece" {
            model["continuing_subword_prefix"] = "##".into();
            model["max_input_chars_per_word"] = 100.into();
        }
        model[field] = value;
        model
    };
    let unigram =
        |unknown: Value, vocab: Value| json!({"type": "Unigram", "unk_id": unknown, "vocab": vocab});
    let scored = |piece: &str, score: f64| json!([["<unk>", 0.0], [piece, score], ["b", -1.0]]);
    vec![
        bpe("continuing_subword_prefix", "a prefix that is long".into()),
        bpe("continuing_subword_prefix", "é".into()),
        bpe("continuing_subword_prefix", "a".repeat(1_000_000).into()),
        bpe("end_of_word_suffix", "a".repeat(1_000_000).into()),
        bpe("end_of_word_suffix", "</w>".into()),
        bpe("dropout", json!(-1)),
        bpe("dropout", json!(1.0)),
        bpe("dropout", json!("x")),
        bpe("unk_token", "absent".into()),
        bpe("unk_token", "<unk>".into()),
        bpe("byte_fallback", true.into()),
        bpe("ignore_merges", true.into()),
        bpe("vocab", json!({})),
        bpe("vocab", json!([])),
        bpe("vocab", json!({"a": -1, "b": 1, "ab": 2})),
        bpe("vocab", json!({"a": u32::MAX, "b": 1, "ab": 2})),
        bpe("vocab", json!({"a": 1u64 << 32, "b": 1, "ab": 2})),
        bpe("vocab", json!({"a": 0, "b": 0, "ab": 0})),
        bpe("vocab", json!({"a": 0.5, "b": 0, "ab": 0})),
        bpe("vocab", json!({"": 0, "a": 1, "b": 2, "ab": 3})),
        bpe("vocab", json!({"a".repeat(100_000): 0, "a": 1, "b": 2, "ab": 3})),
        bpe("merges", json!([["a", "c"]])),
        bpe("merges", json!([["a", "a"]])),
        bpe("merges", json!([["a"]])),
        bpe("merges", json!(["a b c"])),
        bpe("merges", json!(["ab"])),
        bpe("merges", json!([["", ""]])),
        bpe("merges", Value::Null),
        bpe("type", "Unigram".into()),
        bpe("type", "Other".into()),
        piece("WordPiece", "max_input_chars_per_word", 0.into()),
        piece("WordPiece", "max_input_chars_per_word", 200.into()),
        piece("WordPiece", "max_input_chars_per_word", u64::MAX.into()),
        piece("WordPiece", "max_input_chars_per_word", (-1).into()),
        piece("WordPiece", "unk_token", "absent".into()),
        piece("WordPiece", "vocab", json!({})),
        piece("WordPiece", "vocab", json!({"": 0, "<unk>": 1})),
        piece("WordPiece", "continuing_subword_prefix", "x".repeat(1_000_000).into()),
        piece("WordLevel", "unk_token", "absent".into()),
        piece("WordLevel", "vocab", json!({})),
        unigram(Value::Null, json!([])),
        unigram(0.into(), json!([])),
        unigram(9.into(), scored("a", 0.0)),
        unigram((-1).into(), scored("a", 0.0)),
        unigram(Value::Null, scored("a", 0.0)),
        unigram(0.into(), scored("a", f64::MAX)),
        unigram(0.into(), scored("a", f64::MIN)),
        unigram(0.into(), scored("", 0.0)),
        unigram(0.into(), scored("b", 0.0)),
        unigram(0.into(), scored(&"a".repeat(1_000), 0.0)),
        // A trie of this depth overflows the stack when it is freed.
        unigram(0.into(), scored(&"a".repeat(1_000_000), 0.0)),
        unigram(0.into(), json!([["a", "b"]])),
        unigram(0.into(), json!([["a"]])),
        unigram(0.into(), json!({"a": 0})),
        json!({"type": "BPE"}),
        json!({}),
        Value::Null,
    ]
}

fn post_processors() -> Vec<Value> {
    let template = |single: Value, ids: usize| {
        json!({
            "type": "TemplateProcessing", "single": single, "pair": [],
            "special_tokens": {"s": {"id": "s", "ids": vec![u32::MAX; ids], "tokens": vec!["s"; ids]}},
        })
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let special = json!({"SpecialToken": {"id": "s", "type_id": 0}});
    let doubling = template(json!([text, text]), 0);
    vec![
        template(json!([special, text]), 1),
        template(json!([special, text]), 100_000),
        template(json!(vec![special; 10_000]), 1_000),
        template(json!(vec![text; 10_000]), 0),
        template(json!([{"SpecialToken": {"id": "absent", "type_id": 0}}]), 1),
        template(json!([{"Sequence": {"id": "B", "type_id": 0}}]), 1),
        template(json!([]), 1),
        sequence("Sequence", "processors", vec![doubling; 40]),
        nested(
            "processors",
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}),
            60,
        ),
        json!({"type": "RobertaProcessing", "sep": ["s", 1], "cls": ["s", u32::MAX], "trim_offsets": true, "add_prefix_space": true}),
        json!({"type": "BertProcessing", "sep": ["s", -1], "cls": ["s", 1]}),
        json!({"type": "Other"}),
    ]
}

fn added_tokens() -> Vec<Value> {
    let token = |id: i64, content: &str, special: bool, normalized: bool| {
        json!({
            "id": id, "content": content, "special": special, "normalized": normalized,
            "single_word": false, "lstrip": true, "rstrip": true,
        })
    };
    let many = |count: i64, name: &dyn Fn(i64) -> String| -> Value {
        (0..count).map(|i| token(300 + i, &name(i), i % 2 == 0, i % 3 == 0)).collect()
    };
    vec![
        json!([token(u32::MAX.into(), "<x>", true, false)]),
        json!([token(1 << 32, "<x>", true, false)]),
        json!([token(-1, "<x>", true, false)]),
        json!([token(300, "", true, false)]),
        json!([token(300, " ", false, true)]),
        json!([token(300, "a", false, true), token(301, "a", true, false), token(302, "a", true, true)]),
        json!([token(300, &"é".repeat(1_000_000), true, false)]),
        json!([token(300, &"é".repeat(500), true, true)]),
        json!([{"content": "x"}]),
        json!([1]),
        many(5_000, &|i| format!("<extra_{i}>")),
        many(5_000, &|_| "<same>".to_owned()),
        many(100, &|i| char::from_u32(0x4e00 + i as u32).unwrap().to_string().repeat(300)),
        many(3_000, &|i| format!("{i}{}", "a".repeat(900))),
        Value::Null,
    ]
}

/// Files that are broken as a whole.
fn wholes() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"model": {}, "model": {}}"#,
        r#"{"version": "2.0"}"#,
        r#"{"added_tokens": 1}"#,
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push("[".repeat(1_000_000).into_bytes());
    all.push(r#"{"normalizer":"#.repeat(100_000).into_bytes());
    for truncation in
        [json!({"max_length": 0, "strategy": "LongestFirst", "stride": 9}), json!({"max_length": -1})]
    {
        all.push(with("/truncation", truncation));
    }
    let fixed = |length: i64| json!({"strategy": {"Fixed": length}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0, "pad_type_id": 0, "pad_token": ""});
    all.extend([1 << 40, -1].map(|length| with("/padding", fixed(length))));
    all
}

fn parse(json: &[u8]) -> crate::Result<Tokenizer> {
    Tokenizer::parse(&TokenizerSource::alone(json.to_vec(), "tokenizer.json"), usize::MAX)
}

/// Encodes, decodes and streams with the tokenizer in `bytes`, if it is one.
fn run(bytes: &[u8]) -> crate::Result<()> {
    let tokenizer = parse(bytes)?;
    let ids = tokenizer.encode(TEXT, true)?;
    tokenizer.decode(&ids, false)?;
    tokenizer.decode(&[], true)?;
    let mut stream = tokenizer.stream(true);
    for id in ids.iter().copied().chain(0..64) {
        stream.push(id)?;
    }
    stream.finish()?;
    Ok(())
}

#[test]
fn hostile_tokenizers_work_or_are_refused_in_one_line() {
    crate::hide_caught_panics();
    let parts = [
        ("/normalizer", normalizers()),
        ("/pre_tokenizer", pre_tokenizers()),
        ("/decoder", decoders()),
        ("/model", models()),
        ("/post_processor", post_processors()),
        ("/added_tokens", added_tokens()),
    ];
    let parts = parts
        .into_iter()
        .flat_map(|(pointer, values)| values.into_iter().map(move |value| with(pointer, value)));
    let (mut refused, mut worked) = (0, 0);
    for bytes in parts.chain(wholes()) {
        let start = Instant::now();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        match run(&bytes) {
            Ok(()) => worked += 1,
            Err(error) => {
                refused += 1;
                let message = error.to_string();
                assert!(error.is_bad_input() && message.starts_with("tokenizer.json: "), "{message}");
                assert!(!message.contains(char::is_control), "{message}");
            }
        }
        // A fault takes hours. The limit leaves room for slow and busy machines.
        assert!(start.elapsed().as_secs() < 60, "{:?}: {shown}", start.elapsed());
    }
    assert!(refused > 100 && worked > 100, "{refused} refused, {worked} worked");
    assert_memory_is_small();
}

/// Asserts that this process has never taken half a gigabyte.
fn assert_memory_is_small() {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let peak: u64 = peak.unwrap().parse().unwrap();
    assert!(peak < 512 << 10, "{peak} kB");
}

#[test]
fn faults_are_named_by_their_fields() {
    let cases = [
        (
            with("/pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
            "pre_tokenizer: FixedLength: length is 0",
        ),
        (with("/normalizer", replace(json!({"String": ""}), "a")), "normalizer: Replace: pattern is empty"),
        (
            with("/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": ""})),
            "Precompiled: precompiled_charsmap is empty",
        ),
        (
            with(
                "/normalizer",
                sequence("Sequence", "normalizers", vec![replace(json!({"String": "a"}), "aa"); 30]),
            ),
            "normalizer: a text can grow 3221225472-fold; the limit is 4096",
        ),
        (
            with("/added_tokens", json!([{"content": "x".repeat(2_000)}])),
            "added_tokens[0].content: 2000 bytes",
        ),
    ];
    for (bytes, fault) in cases {
        let message = run(&bytes).unwrap_err().to_string();
        assert!(message.contains(fault), "{message}");
    }
}

#[test]
fn a_text_that_could_fill_the_memory_is_refused() {
    let growing = with("/normalizer", json!({"type": "Prepend", "prepend": "a".repeat(1_000)}));
    let tokenizer = parse(&growing).unwrap();
    assert!(tokenizer.encode("a", false).is_ok());
    let message = tokenizer.encode(&"a".repeat(1 << 20), false).unwrap_err().to_string();
    assert!(message.contains("a text of 1048576 bytes can grow"), "{message}");
}
