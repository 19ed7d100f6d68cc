//! Converting a model to another format does not change it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use tercet::formats::TensorType;
use tercet::formats::{Config, Format, ModelFiles, convert};
use tercet::{ChatInput, ChatTemplate, Logits, Message, Model, Tokenizer};

/// A temporary directory. Dropping the value deletes it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tercet-convert-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

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
    let tokenizer = Tokenizer::load(files, config.vocab_size, config.bos_token_id).unwrap();
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

/// GGUF stores stretched rotary embeddings as factors, which are rounded slightly.
#[test]
fn stretched_rope_survives() {
    let scratch = Scratch::new("rope");
    let llama = open(&common::path("tests/fixtures/llama-tiny"));
    let gguf = scratch.0.join("llama.gguf");
    convert(&llama, &gguf, Format::Gguf(TensorType::I2S), false).unwrap();
    let again = scratch.0.join("again");
    convert(&open(&gguf), &again, Format::Safetensors, false).unwrap();
    let expected = logits(&llama);
    for path in [gguf, again] {
        let difference = common::mean_difference(&logits(&open(&path)), &expected);
        assert!(difference < 0.01, "{}: mean |difference| {difference}", path.display());
    }
    let yarn = open(&common::path("tests/fixtures/qwen3-tiny"));
    let error = convert(&yarn, &scratch.0.join("yarn.gguf"), Format::Gguf(TensorType::I2S), false);
    assert!(error.unwrap_err().to_string().contains("rope_scaling"));
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
