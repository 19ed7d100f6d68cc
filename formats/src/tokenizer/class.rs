//! Classes of transformers that build a tokenizer's pipeline themselves, whatever `tokenizer.json` says.

use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::error::Result;
use crate::gguf::QWEN2;
use crate::json::Object;
use crate::{Bytes, CONFIG, ModelFiles, json};

/// The rule of Qwen 3.5. Marks that combine with letters belong to words.
const QWEN3_5: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A class that takes only the vocabulary, the merges and the post-processor from `tokenizer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Llama,
    Gemma,
    Qwen2,
    Qwen3_5,
    Gpt2,
    GptNeoX,
    CodeGen,
    Cohere,
}

/// Further classes that build their own pipelines. They belong to models of other kinds.
const FOREIGN: [&str; 30] = [
    "AlbertTokenizer",
    "BarthezTokenizer",
    "BertTokenizer",
    "BigBirdTokenizer",
    "BlenderbotTokenizer",
    "CamembertTokenizer",
    "CLIPTokenizer",
    "CodeLlamaTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "FunnelTokenizer",
    "HerbertTokenizer",
    "LukeTokenizer",
    "MBartTokenizer",
    "MBart50Tokenizer",
    "MPNetTokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "PegasusTokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RobertaTokenizer",
    "SeamlessM4TTokenizer",
    "SplinterTokenizer",
    "T5Tokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLMRobertaTokenizer",
    "XLNetTokenizer",
];

impl Class {
    /// Returns the class of a model's tokenizer, as `AutoTokenizer` chooses it. Returns none for the class that takes
    /// everything from the file, which is `tokenizer`.
    pub(super) fn of(files: &ModelFiles, settings: &Settings, tokenizer: &Bytes) -> Result<Option<Self>> {
        let name = settings.object().text("tokenizer_class")?;
        let class = match name.map(|name| name.strip_suffix("Fast").unwrap_or(name)) {
            // A byte-level file under this name is one of Llama 3.
            Some("LlamaTokenizer") => Some(Class::Llama).filter(|_| !mentions(tokenizer, b"\"ByteLevel\"")),
            Some("GemmaTokenizer") => Some(Class::Gemma),
            Some("Qwen2Tokenizer") => Some(Class::Qwen2),
            Some("Qwen3_5Tokenizer") => Some(Class::Qwen3_5),
            Some("GPT2Tokenizer") => Some(Class::Gpt2),
            Some("GPTNeoXTokenizer") => Some(Class::GptNeoX),
            Some("CodeGenTokenizer") => Some(Class::CodeGen),
            Some("CohereTokenizer") => Some(Class::Cohere),
            Some(_) => None,
            None => Some(Class::Qwen2).filter(|_| is_qwen3(files)),
        };
        if let Some(name) = name.filter(|name| FOREIGN.contains(&name.strip_suffix("Fast").unwrap_or(name))) {
            files.warn(format!(
                "{name} builds a tokenizer of its own in transformers; here tokenizer.json counts"
            ));
        }
        // The classes know only byte pair encoding.
        Ok(class.filter(|_| mentions(tokenizer, b"\"merges\"")))
    }

    /// Returns the special tokens that the class has by default.
    pub(super) fn special_tokens(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Class::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Class::Gemma => &[
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Class::Qwen2 | Class::Qwen3_5 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Class::Gpt2 | Class::CodeGen => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
            Class::GptNeoX => {
                &[("bos_token", END), ("eos_token", END), ("unk_token", END), ("pad_token", "<|padding|>")]
            }
            Class::Cohere => &[
                ("bos_token", "<BOS_TOKEN>"),
                ("eos_token", "<|END_OF_TURN_TOKEN|>"),
                ("unk_token", "<UNK>"),
                ("sep_token", "<SEP>"),
                ("pad_token", "<PAD>"),
                ("cls_token", "<CLS>"),
                ("mask_token", "<MASK_TOKEN>"),
            ],
        }
    }

    /// Builds the pipeline in `root`, the contents of a `tokenizer.json`.
    pub(super) fn build(self, settings: &Settings, root: &mut Map<String, Value>) -> Result<()> {
        let prefixed = settings.flag("add_prefix_space")?;
        let legacy = settings.flag("legacy")?.unwrap_or(false);
        let spaced = prefixed.unwrap_or(false);
        let model = root.remove("model").unwrap_or_default();
        let field = |name: &str| model.get(name).cloned().unwrap_or_default();
        let has_pieces = matches!(self, Class::Llama | Class::Gemma);
        root.insert(
            "model".into(),
            json!({
                "type": "BPE", "dropout": null, "unk_token": self.unknown(settings)?, "fuse_unk": has_pieces,
                "byte_fallback": has_pieces, "ignore_merges": false,
                "vocab": field("vocab"), "merges": field("merges"),
            }),
        );
        let nfc = json!({ "type": "NFC" });
        let (normalizer, pre_tokenizer, decoder) = match self {
            Class::Llama => sentence_piece(prefixed.unwrap_or(true), legacy),
            Class::Gemma => gemma(),
            Class::Qwen2 => (nfc, cut(QWEN2, spaced), byte_level(true, true)),
            Class::Qwen3_5 => (nfc, cut(QWEN3_5, spaced), byte_level(true, true)),
            Class::Gpt2 | Class::CodeGen => (Value::Null, byte_level(spaced, true), byte_level(true, true)),
            Class::GptNeoX => (nfc, byte_level(spaced, true), byte_level(true, true)),
            Class::Cohere => {
                let digits = json!({ "type": "Digits", "individual_digits": true });
                (nfc, sequence(&[digits, byte_level(spaced, true)]), byte_level(true, true))
            }
        };
        root.insert("normalizer".into(), normalizer);
        root.insert("pre_tokenizer".into(), pre_tokenizer);
        root.insert("decoder".into(), decoder);
        // This class makes a new one, which adds nothing.
        if self == Class::GptNeoX {
            root.insert("post_processor".into(), Value::Null);
        }
        Ok(())
    }

    /// Returns the token for text outside the vocabulary, or null if the class has none.
    fn unknown(self, settings: &Settings) -> Result<Value> {
        let named =
            if self == Class::Gemma { settings.special_tokens(self.special_tokens())? } else { Vec::new() };
        let unknown = named.into_iter().find(|(name, _)| name == "unk_token");
        Ok(unknown.map_or(Value::Null, |(_, token)| token.content.into()))
    }
}

fn sequence(steps: &[Value]) -> Value {
    json!({ "type": "Sequence", "pretokenizers": steps })
}

/// Returns the pre-tokenizer that cuts a text by `pattern`, and then spells out its bytes.
fn cut(pattern: &str, add_prefix_space: bool) -> Value {
    let split = json!({
        "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false,
    });
    sequence(&[split, byte_level(add_prefix_space, false)])
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

/// Returns the normalizer, pre-tokenizer and decoder of Gemma, which puts no space before a text.
fn gemma() -> (Value, Value, Value) {
    let replace =
        |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to });
    let split = json!({
        "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false,
    });
    let decoders = [replace("▁", " "), json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    (replace(" ", "▁"), split, json!({ "type": "Sequence", "decoders": decoders }))
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
