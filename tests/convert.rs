//! Converting a model to another format does not change it.

mod common;

use std::fs;
use std::path::Path;

use common::Scratch;
use serde_json::{Value, json};
use tercet::formats::TensorType;
use tercet::formats::{Config, Format, GenerationDefaults, ModelFiles, TemplateSource, convert};
use tercet::{ChatInput, ChatTemplate, Logits, Message, Model, SamplingChoices, Tokenizer};

fn open(path: &Path) -> ModelFiles {
    ModelFiles::open(path).unwrap()
}

fn logits(files: &ModelFiles) -> Vec<f32> {
    let model = Model::load(files, &common::best_runtime()).unwrap();
    let prompt: Vec<u32> = (0..24).map(|i| i * 11 % model.config().vocab_size as u32).collect();
    let mut state = model.new_state(prompt.len()).unwrap();
    model.forward(&mut state, &prompt, Logits::All).unwrap().to_vec()
}

fn text(files: &ModelFiles) -> (Vec<u32>, String) {
    let config = Config::load(files).unwrap();
    let tokenizer = Tokenizer::load(files, config.vocab_size).unwrap();
    let template = ChatTemplate::load(files).unwrap();
    let prompt = template
        .render(&ChatInput::question(&[Message::new("user", "It's 1234 “quoted” <|eot_id|> words")]))
        .unwrap();
    (tokenizer.encode(&prompt, false).unwrap(), prompt)
}

/// Converts `model` to `format`, reads the result, and requires the same logits, tokens and
/// configuration.
fn assert_same(model: &ModelFiles, scratch: &Path, name: &str, format: Format) -> ModelFiles {
    let path = scratch.join(name);
    assert_eq!(convert(model, &path, format, false).unwrap().rounding, 0.0, "{name}");
    let converted = open(&path);
    assert_eq!(logits(&converted), logits(model), "{name}");
    assert_eq!(text(&converted), text(model), "{name}");
    let [config, original] = [&converted, model].map(|files| Config::load(files).unwrap());
    assert_eq!(
        Config { eos_token_ids: Vec::new(), ..config },
        Config { eos_token_ids: Vec::new(), ..original }
    );
    converted
}

#[test]
fn every_format_keeps_the_model() {
    let scratch = Scratch::new("formats");
    let tiny = open(&common::path(common::TINY));
    for kind in [TensorType::I2S, TensorType::Tq1_0, TensorType::Tq2_0] {
        let name = format!("{}.gguf", kind.name());
        let gguf = assert_same(&tiny, &scratch.0, &name, Format::Gguf(kind));
        assert_same(&gguf, &scratch.0, &format!("from {name}"), Format::Safetensors);
    }
    assert_same(&tiny, &scratch.0, "packed", Format::Safetensors);
}

#[test]
fn every_format_keeps_all_chat_templates() {
    let scratch = Scratch::new("templates");
    let model = scratch.0.join("model");
    let folder = model.join("additional_chat_templates");
    fs::create_dir_all(&folder).unwrap();
    for entry in common::path(common::TINY).read_dir().unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    fs::write(model.join("chat_template.jinja"), "the default").unwrap();
    fs::write(folder.join("tool_use.jinja"), "with tools").unwrap();
    fs::write(folder.join("rag.jinja"), "with documents").unwrap();
    let texts = |path: &Path| TemplateSource::load(&open(path)).unwrap().texts;
    let expected = texts(&model);
    assert_eq!(expected.values().collect::<Vec<_>>(), ["the default", "with documents", "with tools"]);
    let [gguf, from_gguf, packed] = ["m.gguf", "from gguf", "packed"].map(|name| scratch.0.join(name));
    for (from, to, format) in [
        (&model, &gguf, Format::Gguf(TensorType::I2S)),
        (&gguf, &from_gguf, Format::Safetensors),
        (&model, &packed, Format::Safetensors),
    ] {
        convert(&open(from), to, format, false).unwrap();
        assert_eq!(texts(to), expected, "{}", to.display());
    }
    // A new model does not keep the templates of the one that it replaces.
    convert(&open(&common::path(common::TINY)), &packed, Format::Safetensors, true).unwrap();
    assert_eq!(texts(&packed), texts(&common::path(common::TINY)));
}

/// Every matrix has a scale for each group of columns, including the embedding and the head.
#[test]
fn groups_keep_their_scales() {
    let scratch = Scratch::new("groups");
    let grouped = open(&common::path("tests/fixtures/gguf/grouped"));
    let expected = logits(&grouped);
    for (name, format) in [("q2_0.gguf", Format::Gguf(TensorType::Q2_0)), ("floats", Format::Safetensors)] {
        let path = scratch.0.join(name);
        assert_eq!(convert(&grouped, &path, format, false).unwrap().rounding, 0.0);
        assert_eq!(logits(&open(&path)), expected, "{name}");
        // Convert the result once more, to safetensors.
        let again = scratch.0.join(format!("from {name}"));
        convert(&open(&path), &again, Format::Safetensors, false).unwrap();
        assert_eq!(logits(&open(&again)), expected, "from {name}");
    }
    let out = scratch.0.join("i2_s.gguf");
    let error = convert(&grouped, &out, Format::Gguf(TensorType::I2S), false).unwrap_err().to_string();
    assert!(error.contains("scaled in groups of 128") && error.contains("the type q2_0"), "{error}");
}

/// GGUF stores stretched rotary embeddings as factors, which are rounded slightly, or as keys.
#[test]
fn stretched_rope_survives() {
    let scratch = Scratch::new("rope");
    for name in ["llama-tiny", "qwen3-tiny"] {
        let model = open(&common::path(&format!("tests/fixtures/{name}")));
        let gguf = scratch.0.join(format!("{name}.gguf"));
        convert(&model, &gguf, Format::Gguf(TensorType::I2S), false).unwrap();
        let again = scratch.0.join(name);
        convert(&open(&gguf), &again, Format::Safetensors, false).unwrap();
        let expected = logits(&model);
        for path in [gguf, again] {
            let difference = common::mean_difference(&logits(&open(&path)), &expected);
            assert!(difference < 0.01, "{}: mean |difference| {difference}", path.display());
        }
    }
}

#[test]
fn stretchings_of_gguf_are_written_and_others_are_refused() {
    let scratch = Scratch::new("stretchings");
    let factors = vec![1.5; 32];
    for (i, (scaling, survives)) in [
        (json!({ "rope_type": "linear", "factor": 2.0 }), true),
        (json!({ "rope_type": "yarn", "factor": 4.0 }), true),
        (json!({ "rope_type": "yarn", "factor": 4.0, "attention_factor": 1.25 }), true),
        (json!({ "rope_type": "yarn", "factor": 0.5, "original_max_position_embeddings": 64 }), true),
        (json!({ "rope_type": "yarn", "factor": 4.0, "beta_fast": 16.0 }), false),
        (json!({ "rope_type": "yarn", "factor": 4.0, "beta_slow": 2.0 }), false),
        (
            json!({
                "rope_type": "longrope", "attention_factor": 1.25, "short_factor": factors, "long_factor": factors,
            }),
            true,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let model = changed(&scratch.0.join(i.to_string()), "config.json", |config| {
            config["rope_scaling"] = scaling.clone();
        });
        let out = scratch.0.join(format!("{i}.gguf"));
        let result = convert(&model, &out, Format::Gguf(TensorType::I2S), false);
        if survives {
            result.unwrap();
            let [ours, original] = [open(&out), model].map(|files| Config::load(&files).unwrap());
            let angles = |config: &Config| {
                let factor = config.rope.attention_factor();
                config.rope.frequencies(config.head_dim).into_iter().chain([factor]).collect::<Vec<f32>>()
            };
            for (ours, original) in angles(&ours).into_iter().zip(angles(&original)) {
                assert!((ours - original).abs() <= 1e-6 * original, "{scaling}: {ours} instead of {original}");
            }
        } else {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("beta_fast and beta_slow"), "{error}");
        }
    }
}

#[test]
fn the_trained_model_and_its_tokenizer_survive() {
    let scratch = Scratch::new("trained");
    let fairy_tales = open(&common::path(common::FAIRY_TALES));
    let gguf = assert_same(&fairy_tales, &scratch.0, "i2_s.gguf", Format::Gguf(TensorType::I2S));
    // The width of its feed-forward block is not a multiple of 256.
    let out = scratch.0.join("tq2_0.gguf");
    let error = convert(&fairy_tales, &out, Format::Gguf(TensorType::Tq2_0), false).unwrap_err().to_string();
    assert!(error.contains("mlp.down_proj") && error.contains("the type i2_s"), "{error}");
    drop(gguf);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "no partial file remains");
}

#[test]
fn existing_files_are_replaced_only_by_force() {
    let scratch = Scratch::new("replace");
    let tiny = open(&common::path(common::TINY));
    let (file, dir) = (scratch.0.join("m.gguf"), scratch.0.join("m"));
    fs::write(&file, "mine").unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("notes"), "mine").unwrap();
    // Files of the old model must not be read with the new one.
    let superseded = ["model.safetensors.index.json", "special_tokens_map.json"];
    superseded.iter().for_each(|file| fs::write(dir.join(file), "{}").unwrap());
    for (path, format) in [(&file, Format::Gguf(TensorType::I2S)), (&dir, Format::Safetensors)] {
        let error = convert(&tiny, path, format, false).unwrap_err().to_string();
        assert!(error.contains("exists") && error.contains("allow it to be replaced"), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    convert(&tiny, &file, Format::Gguf(TensorType::I2S), true).unwrap();
    convert(&tiny, &dir, Format::Safetensors, true).unwrap();
    assert_eq!(logits(&open(&file)), logits(&open(&dir)));
    assert_eq!(fs::read(dir.join("notes")).unwrap(), b"mine");
    superseded.iter().for_each(|file| assert!(!dir.join(file).exists(), "{file}"));
}

/// Makes the tiny model with a changed file, which is created if the model lacks it.
fn changed(path: &Path, file: &str, change: impl Fn(&mut Value)) -> ModelFiles {
    fs::create_dir(path).unwrap();
    for entry in fs::read_dir(common::path(common::TINY)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
    }
    let text = fs::read(path.join(file)).unwrap_or_else(|_| b"{}".to_vec());
    let mut json = serde_json::from_slice(&text).unwrap();
    change(&mut json);
    fs::write(path.join(file), json.to_string()).unwrap();
    open(path)
}

/// A tokenizer in the manner of Llama 2 that puts a space before the first word only.
fn spaced_first(tokenizer: &mut Value) {
    let mut vocabulary = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned()];
    vocabulary.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    vocabulary.extend(["▁".to_owned()].into_iter().chain(('a'..='z').map(String::from)));
    let merges: Vec<[String; 2]> = ('a'..='z').map(|letter| ["▁".to_owned(), letter.into()]).collect();
    vocabulary.extend(merges.iter().map(|pair| pair.concat()));
    let ids: serde_json::Map<_, _> = vocabulary.into_iter().zip((0..).map(Value::from)).collect();
    let special = |id: usize, token: &str| {
        json!({ "id": id, "content": token, "special": true, "normalized": false, "single_word": false,
                "lstrip": false, "rstrip": false })
    };
    *tokenizer = json!({
        "version": "1.0", "normalizer": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "pre_tokenizer":
            { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
        ] },
        "model": { "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                   "vocab": ids, "merges": merges },
    });
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } },
    });
}

/// Everything beside the weights: ids of texts, end tokens, and sampling.
fn behaviour(files: &ModelFiles) -> (Vec<Vec<u32>>, Vec<u32>, tercet::SamplerOptions) {
    let config = Config::load(files).unwrap();
    let defaults = GenerationDefaults::load(files, &config).unwrap();
    let tokenizer = Tokenizer::load(files, config.vocab_size).unwrap();
    let texts = ["a</s>b", " lead", "a <|eot_id|> b", "", "It's 1234 \n naïve 🦀", "<b"];
    let ids = texts.map(|text| tokenizer.encode(text, true).unwrap()).to_vec();
    (ids, defaults.eos_token_ids.clone(), SamplingChoices::default().over(&defaults))
}

/// A change of the tiny model's file, and the words that tell of it. None if llama.cpp learns all.
type Setting = (&'static str, &'static str, fn(&mut Value), &'static [&'static str]);

const SETTINGS: [Setting; 7] = [
    ("as-is", "tokenizer.json", |_| {}, &[]),
    ("metaspace-first", "tokenizer.json", spaced_first, &["prepend_scheme", "have other tokens"]),
    (
        "stripping",
        "tokenizer.json",
        |json| {
            for side in ["lstrip", "rstrip"] {
                json["added_tokens"][2][side] = true.into();
            }
        },
        &["lstrip and rstrip of the token <|eot_id|>", "have other tokens"],
    ),
    (
        "lower-case",
        "tokenizer.json",
        |json| json["normalizer"] = json!({ "type": "Lowercase" }),
        &["the normalizer Lowercase", "have other tokens"],
    ),
    (
        "five-ends",
        "generation_config.json",
        |json| json["eos_token_id"] = json!([257, 258, 97, 98, 99]),
        &["these tokens no longer end a text: ¥ (98), ¦ (99)"],
    ),
    (
        "sampling",
        "generation_config.json",
        |json| {
            *json = json!({ "eos_token_id": [257, 258], "do_sample": true, "top_k": 7, "min_p": 0.05,
                            "repetition_penalty": 1.1 });
        },
        &[],
    ),
    ("no-bos", "tokenizer.json", |json| json["post_processor"] = Value::Null, &[]),
];

#[test]
fn settings_survive_and_those_without_a_key_are_named() {
    let scratch = Scratch::new("settings");
    let runtime = common::best_runtime();
    for (name, file, change, told) in SETTINGS {
        let model = changed(&scratch.0.join(name), file, change);
        let gguf = scratch.0.join(format!("{name}.gguf"));
        let kind = Format::Gguf(TensorType::I2S);
        let conversion = tercet::convert(&model, &gguf, kind, false, &runtime).unwrap();
        let differences = conversion.differences.join("\n");
        assert!(told.iter().all(|words| differences.contains(words)), "{name}: {differences}");
        assert_eq!(differences.is_empty(), told.is_empty(), "{name}: {differences}");
        let gguf = open(&gguf);
        let again = scratch.0.join(format!("{name}-again"));
        convert(&gguf, &again, Format::Safetensors, false).unwrap();
        for converted in [gguf, open(&again)] {
            assert_eq!(behaviour(&converted), behaviour(&model), "{name}");
        }
    }
}

/// Other programs may change the keys that all of them read.
#[test]
fn an_original_that_contradicts_the_usual_keys_does_not_count() {
    let scratch = Scratch::new("edited");
    let path = scratch.0.join("m.gguf");
    let stripping = changed(&scratch.0.join("m"), "tokenizer.json", SETTINGS[2].2);
    convert(&stripping, &path, Format::Gguf(TensorType::I2S), false).unwrap();
    let ids = |files: &ModelFiles| behaviour(files).0[2].clone();
    assert_eq!(ids(&open(&path)), ids(&stripping));
    let mut bytes = fs::read(&path).unwrap();
    let token = b"\x0a\0\0\0\0\0\0\0<|eot_id|>";
    let at = bytes.windows(token.len()).position(|window| window == token).unwrap();
    bytes[at + token.len() - 3] = b'D';
    fs::write(&path, bytes).unwrap();
    assert_ne!(ids(&open(&path)), ids(&stripping));
}

#[test]
fn what_llama_cpp_computes_otherwise_and_lost_weights_are_named() {
    let scratch = Scratch::new("losses");
    let losses = |model: &str, kind| {
        let out = scratch.0.join("m.gguf");
        convert(&open(&common::path(model)), &out, Format::Gguf(kind), true).unwrap().losses.join("\n")
    };
    assert!(losses(common::TINY, TensorType::Tq2_0).contains("SiLU"));
    assert_eq!(losses(common::TINY, TensorType::I2S), "");
    let master = "tests/fixtures/master-tiny";
    assert!(losses(master, TensorType::I2S).contains("weights for training"));

    // The only copy of such weights is not replaced.
    let copy = scratch.0.join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(common::path(master).join(file), copy.join(file)).unwrap();
    }
    let error = convert(&open(&copy), &copy, Format::Safetensors, true).unwrap_err().to_string();
    assert!(error.contains("is the model itself") && error.contains("weights for training"), "{error}");
}
