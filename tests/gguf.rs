//! GGUF files that the `gguf` package wrote (`tests/gguf/write.py`) against the same models and tokenizers in the Hugging
//! Face format.

mod common;

use serde_json::Value;
use tercet::{ChatTemplate, Config, Logits, Message, Model, ModelFiles, Tokenizer};

fn files(name: &str) -> ModelFiles {
    ModelFiles::open(&common::path("tests/fixtures/gguf").join(name)).unwrap()
}

#[test]
fn logits_are_those_of_the_safetensors() {
    let runtime = common::best_runtime();
    let prompt: Vec<u32> = (0..40).map(|i| i * 7 % 64).collect();
    let logits = |name: &str| {
        let model = Model::load(&files(name), &runtime).unwrap();
        let mut state = model.new_state(prompt.len()).unwrap();
        model.forward(&mut state, &prompt, Logits::All).unwrap().to_vec()
    };
    let expected = logits("bitnet");
    for kind in ["i2_s", "tq1_0", "tq2_0"] {
        assert_eq!(logits(&format!("bitnet-{kind}.gguf")), expected, "{kind}");
    }
}

#[test]
fn configurations_are_those_of_the_safetensors() {
    let expected = Config::load(&files("bitnet")).unwrap();
    for kind in ["i2_s", "tq1_0", "tq2_0"] {
        assert_eq!(Config::load(&files(&format!("bitnet-{kind}.gguf"))).unwrap(), expected, "{kind}");
    }
}

#[test]
fn tokenizers_are_those_of_hugging_face() {
    let expected = std::fs::read(common::path("tests/fixtures/gguf/tokens.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for name in ["bpe", "spm"] {
        let tokenizer = Tokenizer::load(&files(&format!("{name}.gguf")), 1 << 20, None).unwrap();
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
fn a_whole_text_is_cut_like_the_original() {
    let text = std::fs::read_to_string(common::path("models/fairy-tales/valid.txt")).unwrap();
    let original = ModelFiles::open(&common::path("models/fairy-tales")).unwrap();
    let [original, gguf] =
        [original, files("bpe.gguf")].map(|files| Tokenizer::load(&files, 4096, Some(4093)).unwrap());
    assert_eq!(gguf.encode(&text, true).unwrap(), original.encode(&text, true).unwrap());
}

#[test]
fn the_template_and_its_tokens_come_from_the_metadata() {
    let template = ChatTemplate::load(&files("bitnet-i2_s.gguf")).unwrap();
    let prompt = template.render(&[Message::new("user", "hi")], true).unwrap();
    assert_eq!(prompt, "<|begin_of_text|>hi<|eot_id|>");
    let tokenizer = Tokenizer::load(&files("bitnet-i2_s.gguf"), 64, Some(60)).unwrap();
    assert_eq!(tokenizer.encode(&prompt, false).unwrap(), [60, 8, 9, 62]);
    let message = ChatTemplate::load(&files("bpe.gguf")).unwrap_err().to_string();
    assert!(message.contains("bpe.gguf") && message.contains("no chat template"), "{message}");
}
