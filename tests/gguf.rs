//! Compares GGUF files with the same models and tokenizers in the Hugging Face format. The `gguf`
//! package wrote the files: see `tests/gguf/write.py`.

mod common;

use serde_json::Value;
use tercet::formats::GgufFile;
use tercet::formats::{Config, ModelFiles};
use tercet::{ChatInput, ChatTemplate, Logits, Message, Model, Tokenizer};

fn files(name: &str) -> ModelFiles {
    ModelFiles::open(&common::path("tests/fixtures/gguf").join(name)).unwrap()
}

/// Each model in the Hugging Face format, and its GGUF files.
const MODELS: [(&str, &[&str]); 3] = [
    ("bitnet", &["bitnet-i2_s", "bitnet-tq1_0", "bitnet-tq2_0"]),
    ("llama", &["llama-i2_s", "llama-tq1_0", "llama-tq2_0"]),
    ("grouped", &["grouped-q2_0", "grouped-q2_0-prism", "grouped-pq2_0"]),
];

fn logits(files: &ModelFiles) -> Vec<f32> {
    let model = Model::load(files, &common::best_runtime()).unwrap();
    let prompt: Vec<u32> = (0..40).map(|i| i * 7 % 64).collect();
    let mut state = model.new_state(prompt.len()).unwrap();
    model.forward(&mut state, &prompt, Logits::All).unwrap().to_vec()
}

#[test]
fn logits_equal_those_of_the_safetensors() {
    for (folder, ggufs) in MODELS {
        let expected = logits(&files(folder));
        assert!(expected.iter().any(|logit| logit.abs() > 0.1));
        for name in ggufs {
            assert_eq!(logits(&files(&format!("{name}.gguf"))), expected, "{name}");
        }
    }
}

#[test]
fn configurations_equal_those_of_the_safetensors() {
    for (folder, ggufs) in MODELS {
        let expected = Config::load(&files(folder)).unwrap();
        for name in ggufs {
            assert_eq!(Config::load(&files(&format!("{name}.gguf"))).unwrap(), expected, "{name}");
        }
    }
}

/// A GGUF file of a 1bitLLM model names no activation. These models use SiLU.
#[test]
fn a_bitnet_file_without_an_activation_uses_silu() {
    let read = |name: &str| std::fs::read(common::path("tests/fixtures/gguf").join(name)).unwrap();
    let key = b"bitnet.hidden_activation";
    let mut bytes = read("bitnet-tq1_0.gguf");
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    bytes[at..at + key.len()].copy_from_slice(b"general.hidden_activatio");
    let gguf = GgufFile::open(bytes.into(), "m.gguf").unwrap();

    let mut config: Value = serde_json::from_slice(&read("bitnet/config.json")).unwrap();
    config["hidden_act"] = "silu".into();
    let config: &'static [u8] = config.to_string().into_bytes().leak();
    let tensors: &'static [u8] = read("bitnet/model.safetensors").leak();
    let safetensors = Box::leak(Box::new([("config.json", config), ("model.safetensors", tensors)]));
    let expected = logits(&ModelFiles::embedded("silu".into(), safetensors));
    assert_eq!(logits(&ModelFiles::in_gguf("silu".into(), gguf)), expected);
    assert_ne!(logits(&files("bitnet")), expected);
}

#[test]
fn tokenizers_agree_with_hugging_face() {
    let expected = std::fs::read(common::path("tests/fixtures/gguf/tokens.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for name in ["bpe", "spm"] {
        let tokenizer = Tokenizer::load(&files(&format!("{name}.gguf")), 1 << 20).unwrap();
        for case in expected[name].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids = tokenizer.encode(text, false).unwrap();
            let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(ids, expected, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), case["decoded"], "{name}: {text:?}");
        }
    }
}

#[test]
fn a_long_text_has_the_tokens_of_the_original_tokenizer() {
    let text = std::fs::read_to_string(common::path("models/fairy-tales/valid.txt")).unwrap();
    let original = ModelFiles::open(&common::path("models/fairy-tales")).unwrap();
    let [original, gguf] = [original, files("bpe.gguf")].map(|files| Tokenizer::load(&files, 4096).unwrap());
    assert_eq!(gguf.encode(&text, false).unwrap(), original.encode(&text, false).unwrap());
}

#[test]
fn the_template_and_its_tokens_come_from_the_metadata() {
    let template = ChatTemplate::load(&files("bitnet-i2_s.gguf")).unwrap();
    let prompt = template.render(&ChatInput::question(&[Message::new("user", "hi")])).unwrap();
    assert_eq!(prompt, "<|begin_of_text|>hi<|eot_id|>");
    let tokenizer = Tokenizer::load(&files("bitnet-i2_s.gguf"), 64).unwrap();
    assert_eq!(tokenizer.encode(&prompt, false).unwrap(), [60, 8, 9, 62]);
    let message = ChatTemplate::load(&files("bpe.gguf")).unwrap_err().to_string();
    assert!(message.contains("bpe.gguf") && message.contains("no chat template"), "{message}");
}
