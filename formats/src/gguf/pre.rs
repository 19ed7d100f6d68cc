//! Pre-tokenizers: rules by which byte-level BPE cuts texts before merging, under llama.cpp's
//! names.

use serde_json::{Value, json};

/// One pre-tokenizer.
pub(super) struct Pre {
    /// llama.cpp's names. The first one is written.
    pub(super) names: &'static [&'static str],
    /// Patterns, applied one after another.
    patterns: &'static [&'static str],
    /// True if a piece that is a token as a whole is not merged.
    pub(super) ignores_merges: bool,
    /// True if texts begin with BOS unless the metadata state otherwise.
    pub(super) adds_bos: bool,
    /// True if texts are first normalized to NFC.
    pub(super) normalizes: bool,
}

/// The rule of Qwen 2 and 3.
pub(crate) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Patterns of the `tokenizer.json` of Llama 3, Qwen 2 and GPT-2. `default` is llama.cpp's own
/// rule.
const ALL: [Pre; 4] = [
    Pre {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "falcon_e", "falcon-e"],
        patterns: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        ignores_merges: true,
        adds_bos: true,
        normalizes: false,
    },
    Pre {
        names: &["qwen2", "deepseek-r1-qwen"],
        patterns: &[QWEN2],
        ignores_merges: false,
        adds_bos: false,
        normalizes: true,
    },
    Pre {
        names: &["gpt-2", "mpt", "olmo", "jais"],
        patterns: &[GPT2],
        ignores_merges: false,
        adds_bos: false,
        normalizes: false,
    },
    Pre {
        names: &["default"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        ignores_merges: false,
        adds_bos: false,
        normalizes: false,
    },
];

/// Returns the pre-tokenizer called `name`.
pub(super) fn find(name: &str) -> Option<&'static Pre> {
    ALL.iter().find(|pre| pre.names.contains(&name))
}

/// Returns all names.
pub(super) fn names() -> String {
    ALL.iter().flat_map(|pre| pre.names).copied().collect::<Vec<_>>().join(", ")
}

/// Returns llama.cpp's name of the `pre_tokenizer` of a `tokenizer.json`.
pub(crate) fn recognize_pre(pre_tokenizer: &Value) -> Option<&'static str> {
    let steps = pre_tokenizer.get("pretokenizers").and_then(Value::as_array);
    let steps = steps.map_or(std::slice::from_ref(pre_tokenizer), Vec::as_slice);
    let (bytes, splits) = steps.split_last()?;
    let is = |step: &Value, kind: &str| step.get("type").and_then(Value::as_str) == Some(kind);
    let pattern = |step: &Value| step.pointer("/pattern/Regex").and_then(Value::as_str).map(str::to_owned);
    if !is(bytes, "ByteLevel") || bytes.get("add_prefix_space") == Some(&Value::Bool(true)) {
        return None;
    }
    let mut patterns = splits.iter().map(pattern).collect::<Option<Vec<_>>>()?;
    if bytes.get("use_regex").and_then(Value::as_bool).unwrap_or(true) {
        patterns.push(GPT2.to_owned());
    }
    ALL.iter().find(|pre| patterns.iter().eq(pre.patterns)).map(|pre| pre.names[0])
}

impl Pre {
    /// Returns the `pre_tokenizer` of a `tokenizer.json`.
    pub(super) fn json(&self) -> Value {
        let split = |pattern: &&str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
        let steps: Vec<Value> = self.patterns.iter().map(split).chain([bytes]).collect();
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}
