//! Bad input gives one line that names file, field and remedy, exit status 2, and no output.

use std::fs;

use serde_json::json;

use crate::harness::{FAIRY_TALES, GGUF, Scratch, TINY, command, finish, tercet, with_input};
use crate::models::Broken;

const SCALE: &str = "model.layers.1.mlp.down_proj.weight_scale";
const WEIGHT: &str = "model.layers.1.mlp.down_proj.weight";

/// Requires that a command is refused as bad input, with all of `words` in the message.
#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    for arguments in [arguments.to_vec(), [arguments, &["--json"]].concat()] {
        let ran = tercet(&arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{arguments:?}: no {word:?} in {}", ran.stderr);
        }
    }
}

/// Requires that a model is refused with all of `words` in a message of one line.
#[track_caller]
fn model_refused(model: &Broken, words: &[&str]) {
    let arguments = ["generate", "-m", model.dir(), "-n", "1", "Hi"];
    refused(&arguments, words);
    assert_eq!(tercet(&arguments).stderr.trim_end().lines().count(), 1);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    refused(&["generate", "--isa", "sse9", "Hi"], &["sse9", "--isa", "avx512-vnni", "portable"]);
    refused(&["generate", "--packing", "3bit", "Hi"], &["3bit", "2bit", "1.6bit"]);
    refused(&["generate", "--threads", "0", "Hi"], &["--threads", "1 to 1024"]);
    refused(&["dump", "--kernel", "avx2/2bit"], &["kernel spec", "avx512-vnni/2bit/x4"]);
    refused(&["dump", "--isa", "avx2", "--tile", "m15n16u1"], &["registers", "16"]);
    refused(&["dump", "--isa", "avx512-vnni", "--core", "Pentium"], &["--core", "Pentium", "Zen 4"]);
    refused(&["dump", "--isa", "portable", "--raw", "out.bin"], &["--raw", "compiled Rust"]);
}

#[test]
fn an_existing_output_is_replaced_only_by_force() {
    let existing = Scratch::new();
    let output = existing.path().to_str().unwrap();
    refused(&["convert", "-o", output], &["--output: ", "exists", "--force"]);
}

#[test]
fn a_server_that_cannot_start_says_why_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, word) in [(["--port", &port], port.as_str()), (["--kv-size", "1KB"], "keys and values")] {
        let port = if arguments[0] == "--port" { &[][..] } else { &["--port", "0"] };
        let ran = tercet(&[&["serve"], &arguments[..], port].concat());
        assert!(ran.status != Some(0) && ran.stderr.contains(word), "{}", ran.stderr);
        let errors = ran.stderr.lines().filter(|line| line.starts_with("error: "));
        assert_eq!((errors.count(), ran.stderr.matches(word).count()), (1, 1), "{}", ran.stderr);
    }
}

#[test]
fn models_of_a_server_have_names_of_their_own() {
    let ran = tercet(&["serve", "--port", "0", "-m", TINY, "-m", TINY]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with(
            "error: --alias: \"bitnet-tiny\" stands for two models; give each model a name of its own\n"
        ),
        "{}",
        ran.stderr
    );
    let ran = tercet(&["serve", "--port", "0", "-m", TINY, "-m", TINY, "--alias", "a,b,c"]);
    assert!(ran.status == Some(2) && ran.stderr.starts_with("error: --alias: 3 names"), "{}", ran.stderr);
}

#[test]
fn keys_of_a_server_come_from_a_file_that_holds_some() {
    let scratch = Scratch::new();
    let empty = scratch.file("keys");
    fs::write(&empty, " \n\n").unwrap();
    for file in [empty.as_str(), "/no/such/keys"] {
        let ran = tercet(&["serve", "--port", "0", "--api-key-file", file]);
        assert!(ran.status != Some(0) && ran.stderr.contains(file), "{}", ran.stderr);
    }
    let ran = tercet(&["serve", "--port", "0", "--tls-cert", "/no/such/cert", "--tls-key", "/no/such/key"]);
    assert!(
        ran.status == Some(2) && ran.stderr.starts_with("error: --tls-cert: /no/such/cert"),
        "{}",
        ran.stderr
    );
    let ran = tercet(&["serve", "--cors", "chat.example"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("https://"), "{}", ran.stderr);
}

#[test]
fn the_environment_is_checked_like_the_flags() {
    let ran = finish(command(&["generate", "Hi"]).env("TERCET_ISA", "sse9"));
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("TERCET_ISA") && ran.stderr.contains("avx2"), "{}", ran.stderr);
    let ran = finish(command(&["generate", "Hi"]).env("TERCET_MODEL", "/no/such/model"));
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("/no/such/model"), "{}", ran.stderr);
}

#[test]
fn missing_models_are_refused() {
    refused(&["generate", "-m", "/no/such/model", "Hi"], &["/no/such/model", "no such file", "config.json"]);
    refused(&["info", "-m", "/no/such/model"], &["/no/such/model"]);
    model_refused(&Broken::new().without("config.json"), &["config.json", "no such file", "download"]);
    model_refused(
        &Broken::new().without("model.safetensors"),
        &["model.safetensors", "no such file", "download"],
    );
    model_refused(&Broken::new().without("tokenizer.json"), &["tokenizer.json", "no such file", "download"]);
}

#[test]
fn damaged_gguf_files_are_refused() {
    let whole = fs::read(GGUF).unwrap();
    let scratch = Scratch::new();
    let path = scratch.file("model.gguf");
    let refused_with = |bytes: &[u8], words: &[&str]| {
        fs::write(&path, bytes).unwrap();
        refused(&["generate", "-m", &path, "-n", "1", "hi"], &[&[path.as_str()], words].concat());
    };
    refused_with(b"", &["an empty file", "download it again"]);
    refused_with(&whole[..whole.len() / 2], &["lies beyond the end of the file", "download it again"]);
    let renamed = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|window| window == from).unwrap();
        [&whole[..at], to, &whole[at + from.len()..]].concat()
    };
    refused_with(
        &renamed(b"bitnet-b1.58.block", b"bitnet-b1.58.clock"),
        &["bitnet-b1.58.block_count", "missing"],
    );
    refused_with(&renamed(b"blk.0.attn_v", b"blk.0.attn_w"), &["blk.0.attn_v.weight", "missing"]);
    refused_with(&renamed(b"llama-bpe", b"lama--bpe"), &["tokenizer.ggml.pre", "lama--bpe", "qwen2"]);
}

#[test]
fn invalid_configurations_are_refused() {
    let config = |from, to| Broken::new().edited("config.json", from, to);
    model_refused(&Broken::new().with("config.json", b"{"), &["config.json", "JSON", "download"]);
    model_refused(&config("\"bitnet\",", "\"gpt2\","), &["config.json", "model_type", "gpt2", "bitnet"]);
    model_refused(
        &config("\"hidden_size\": 256", "\"hidden_size\": 0"),
        &["config.json", "hidden_size", "0"],
    );
    model_refused(&config("\"hidden_size\": 256", "\"hidden_size\": 512"), &["model.safetensors", "shape"]);
    model_refused(&Broken::new().with("generation_config.json", b"[]"), &["generation_config.json"]);
    model_refused(&Broken::new().with("tokenizer.json", b"{}"), &["tokenizer.json", "download"]);
    model_refused(&Broken::new().with("tokenizer.json", b"\xff"), &["tokenizer.json", "download"]);
    let tokenizer = |from, to| Broken::new().edited("tokenizer.json", from, to);
    let growing = r#"{"type": "Replace", "pattern": {"String": "i"}, "content": "iiiiiiii"},"#.repeat(8);
    let growing = growing.trim_end_matches(',');
    let normalizer = format!(r#""normalizer": {{"type": "Sequence", "normalizers": [{growing}]}}"#);
    model_refused(&tokenizer(r#""normalizer": null"#, &normalizer), &["tokenizer.json", "50331648-fold"]);
    // The `tokenizers` crate panics on these, the first at load and the second at the first text.
    let prefix = r#""continuing_subword_prefix": "prefix""#;
    let merged = r#""merges": [["a", "b"]]"#;
    let broken = tokenizer(r#""continuing_subword_prefix": null"#, prefix);
    let broken = broken.edited("tokenizer.json", r#""merges": []"#, merged);
    model_refused(&broken, &["tokenizer.json", "out of bounds"]);
    let cut = r#""normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAABhYgBjAA=="}"#;
    model_refused(&tokenizer(r#""normalizer": null"#, cut), &["tokenizer.json: encoding", "out of bounds"]);
}

#[test]
fn damaged_tensor_files_are_refused() {
    let file = "model.safetensors";
    model_refused(
        &Broken::new().tensors(|bytes| bytes.truncate(bytes.len() / 2)),
        &[file, "damaged", "download"],
    );
    model_refused(&Broken::new().tensors(|bytes| bytes.truncate(5)), &[file, "download"]);
    model_refused(&Broken::new().tensors(|bytes| bytes[..8].fill(0x7f)), &[file, "header", "download"]);
    let overlap = |header: &mut serde_json::Map<_, _>| {
        let gain = header["model.norm.weight"]["data_offsets"].clone();
        header["model.layers.0.input_layernorm.weight"]["data_offsets"] = gain;
    };
    model_refused(&Broken::new().header(overlap), &[file, "download"]);
    model_refused(
        &Broken::new().header(|header| header[WEIGHT]["dtype"] = json!("I8")),
        &[file, WEIGHT, "I8", "U8"],
    );
    let missing = |header: &mut serde_json::Map<_, _>| {
        let weight = header.remove(WEIGHT).unwrap();
        header.insert("other".into(), weight);
    };
    model_refused(&Broken::new().header(missing), &[file, WEIGHT, "missing"]);
    model_refused(&Broken::new().tensor(SCALE, &[0xc0, 0x7f]), &[file, SCALE, "NaN", "download"]);
    model_refused(&Broken::new().tensor(WEIGHT, &[0xff]), &[file, WEIGHT, "code 3", "download"]);
}

#[test]
fn bad_shard_indexes_are_refused() {
    let index = "model.safetensors.index.json";
    let sharded = |text: &[u8]| Broken::new().without("model.safetensors").with(index, text);
    model_refused(&sharded(b"{}"), &[index, "weight_map", "missing"]);
    model_refused(&sharded(br#"{"weight_map": {}}"#), &[index, "weight_map.model", "missing"]);
    model_refused(
        &sharded(br#"{"weight_map": {"a": "../a.safetensors"}}"#),
        &[index, "weight_map.a", "../a"],
    );
    model_refused(&sharded(br#"{"weight_map": {"a": "a.safetensors"}}"#), &["a.safetensors", "no such file"]);
}

#[test]
fn prompts_that_cannot_be_continued_are_refused() {
    refused(&["generate", ""], &["the prompt", "empty"]);
    refused(&["generate", "--prompt-ids", "1,x"], &["--prompt-ids", "x"]);
    refused(&["generate", "--prompt-ids", "4096"], &["4096", "vocabulary"]);
    refused(&["generate", "--prompt-ids", "1", "Hi"], &["--prompt-ids", "PROMPT"]);
    refused(&["generate", "--context", "4", "Once upon a time"], &["5 tokens", "context holds 4", "shorten"]);
    refused(&["generate", "--context", "513", "Hi"], &["513", "512"]);
    let ran = with_input(&["generate"], b"\xff\xfe");
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("not UTF-8"), "{}", ran.stderr);
}

#[test]
fn chat_templates_without_bounds_are_refused() {
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    let doubling =
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}";
    let deep = format!("{{{{ {}1 }}}}", "not ".repeat(50_000));
    let refusing = "{{ raise_exception('no questions') }}";
    for (template, words) in [
        (endless, ["tokenizer_config.json", "too much time"]),
        (doubling, ["tokenizer_config.json", "too much"]),
        (&deep, ["tokenizer_config.json", "more than 4000"]),
        (refusing, ["tokenizer_config.json", "refuses these messages: no questions"]),
    ] {
        let config = json!({"chat_template": template}).to_string();
        let model = Broken::new().with("tokenizer_config.json", config.as_bytes());
        let arguments = ["generate", "-m", model.dir(), "--chat", "-n", "1", "Hi"];
        refused(&arguments, &words);
        assert_eq!(tercet(&arguments).stderr.trim_end().lines().count(), 1);
    }
    for (value, problem) in [("[", "not JSON"), ("[1]", "no object"), ("enable_thinking=false", "not JSON")] {
        let words = ["--chat-template-kwargs", problem, "give a JSON object"];
        refused(&["generate", "--chat", "--chat-template-kwargs", value, "Hi"], &words);
        refused(&["chat", "--chat-template-kwargs", value], &words);
    }
    refused(&["generate", "--chat-template-kwargs", "{}", "Hi"], &["--chat"]);
}

#[test]
fn sampling_options_out_of_range_are_refused() {
    for (flag, value) in [
        ("--temperature", "-1"),
        ("-t", "inf"),
        ("--top-p", "0"),
        ("--top-p", "1.5"),
        ("--min-p", "-0.1"),
        ("--repetition-penalty", "0"),
        ("--repetition-penalty", "nan"),
        ("--seed", "-1"),
        ("--tokens", "many"),
    ] {
        let name = if flag == "-t" { "--temperature" } else { flag };
        refused(&["generate", "-m", TINY, flag, value, "Hi"], &[name]);
    }
    refused(&["generate", "-m", TINY, "--stop", "", "Hi"], &["--stop", "empty"]);
    refused(&["generate", "--stop-id", "4096", "Hi"], &["--stop-id", "4096", "vocabulary"]);
    refused(&["generate", "--greedy", "--top-k", "5", "Hi"], &["--greedy", "--top-k"]);
    refused(&["generate", "--json-schema", "{\"type\": 1}", "Hi"], &["--json-schema"]);
    refused(&["generate", "--json-schema", "nowhere.json", "Hi"], &["nowhere.json"]);
    refused(&["generate", "--regex", "(", "Hi"], &["--regex"]);
    refused(&["generate", "--regex", "a", "--json-object", "Hi"], &["--regex", "--json-object"]);
}

#[test]
fn logits_that_cannot_be_written_leave_no_file() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("file"), b"here first").unwrap();
    for (place, status) in [("nowhere/logits", 2), ("file/logits", 1)] {
        let ran = tercet(&["generate", "-m", TINY, "-n", "1", "--logits", &scratch.file(place), "Hi"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(status), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot write") && ran.stderr.contains(place), "{}", ran.stderr);
    }
    assert_eq!(scratch.files(), 1);
}

/// The embedding is the head too, so that one element makes a logit of every token NaN.
#[test]
fn logits_that_are_no_numbers_are_refused() {
    let model = Broken::new().tensor("model.embed_tokens.weight", &[0xc0, 0x7f]);
    let scratch = Scratch::new();
    let (logits, text) = (scratch.file("logits"), scratch.file("text"));
    fs::write(&text, b"Once upon a time").unwrap();
    for arguments in [
        &["generate", "-n", "0", "--logits", &logits, "Hi"][..],
        &["perplexity", &text],
        &["compare-modes", &text],
    ] {
        refused(&[arguments, &["-m", model.dir()]].concat(), &["logits", "the model yields no numbers"]);
    }
    assert_eq!(scratch.files(), 1);
}

#[test]
fn texts_without_a_perplexity_are_refused() {
    let scratch = Scratch::new();
    let file = |name, bytes: &[u8]| {
        fs::write(scratch.path().join(name), bytes).unwrap();
        scratch.file(name)
    };
    refused(&["perplexity", "/no/such/text"], &["/no/such/text"]);
    refused(&["perplexity", &file("empty", b"")], &["empty", "no tokens"]);
    refused(&["perplexity", &file("latin1", b"\xe9t\xe9")], &["latin1", "UTF-8"]);
    let text = file("text", b"Once upon a time");
    refused(&["perplexity", "-m", FAIRY_TALES, "--window", "512", &text], &["--window", "1 to 511"]);
    refused(&["perplexity", "--activations", "f32", &text], &["fast mode", "use the exact mode"]);
}
