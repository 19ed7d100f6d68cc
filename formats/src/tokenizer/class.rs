//! Classes of transformers that build a tokenizer's pipeline themselves, whatever `tokenizer.json` says.

use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::error::Result;
use crate::gguf::QWEN2;
use crate::json::Object;
use crate::{Bytes, CONFIG, ModelFiles, json};

/// A class that takes only the vocabulary, the merges and the post-processor from `tokenizer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Llama,
    Qwen2,
    Gpt2,
}

impl Class {
    /// Returns the class of a model's tokenizer, as `AutoTokenizer` chooses it. Returns none for the class that takes
    /// everything from the file, which is `tokenizer`.
    pub(super) fn of(files: &ModelFiles, settings: &Settings, tokenizer: &Bytes) -> Result<Option<Self>> {
        let name = settings.object().text("tokenizer_class")?;
        let class = match name.map(|name| name.strip_suffix("Fast").unwrap_or(name)) {
            // A byte-level file under this name is one of Llama 3.
            Some("LlamaTokenizer") => Some(Class::Llama).filter(|_| !mentions(tokenizer, b"\"ByteLevel\"")),
            Some("Qwen2Tokenizer") => Some(Class::Qwen2),
            Some("GPT2Tokenizer") => Some(Class::Gpt2),
            Some(_) => None,
            None => Some(Class::Qwen2).filter(|_| is_qwen3(files)),
        };
        // The classes know only byte pair encoding.
        Ok(class.filter(|_| mentions(tokenizer, b"\"merges\"")))
    }

    /// Returns the special tokens that the class has by default.
    pub(super) fn special_tokens(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Class::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Class::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Class::Gpt2 => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
        }
    }

    /// Builds the pipeline in `root`, the contents of a `tokenizer.json`.
    pub(super) fn build(self, settings: &Settings, root: &mut Map<String, Value>) -> Result<()> {
        let prefixed = settings.flag("add_prefix_space")?;
        let legacy = settings.flag("legacy")?.unwrap_or(false);
        let model = root.remove("model").unwrap_or_default();
        let field = |name: &str| model.get(name).cloned().unwrap_or_default();
        let is_llama = self == Class::Llama;
        root.insert(
            "model".into(),
            json!({
                "type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": is_llama,
                "byte_fallback": is_llama, "ignore_merges": false,
                "vocab": field("vocab"), "merges": field("merges"),
            }),
        );
        let (normalizer, pre_tokenizer, decoder) = match self {
            Class::Llama => sentence_piece(prefixed.unwrap_or(true), legacy),
            Class::Qwen2 => {
                let split = json!({
                    "type": "Split", "pattern": { "Regex": QWEN2 }, "behavior": "Isolated", "invert": false,
                });
                let bytes = byte_level(prefixed.unwrap_or(false), false);
                let both = json!({ "type": "Sequence", "pretokenizers": [split, bytes] });
                (json!({ "type": "NFC" }), both, byte_level(true, true))
            }
            Class::Gpt2 => (Value::Null, byte_level(prefixed.unwrap_or(false), true), byte_level(true, true)),
        };
        root.insert("normalizer".into(), normalizer);
        root.insert("pre_tokenizer".into(), pre_tokenizer);
        root.insert("decoder".into(), decoder);
        Ok(())
    }
}

fn byte_level(add_prefix_space: bool, use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex,
    })
}

/// Returns the normalizer, pre-tokenizer and decoder of Llama 2. A `legacy` tokenizer puts a space before every part of a
/// text, others before the first one.
fn sentence_piece(prefixed: bool, legacy: bool) -> (Value, Value, Value) {
    let scheme = match (prefixed, legacy) {
        (false, _) => "never",
        (true, true) => "always",
        (true, false) => "first",
    };
    let pre_tokenizer =
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false });
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefixed {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    (Value::Null, pre_tokenizer, json!({ "type": "Sequence", "decoders": decoders }))
}

fn is_qwen3(files: &ModelFiles) -> bool {
    let config = files.try_get(CONFIG).ok().flatten();
    let config = config.and_then(|bytes| json::parse(&bytes, CONFIG).ok());
    config
        .is_some_and(|config| Object::new(CONFIG, &config).text("model_type").ok().flatten() == Some("qwen3"))
}

fn mentions(file: &Bytes, text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}
