//! How byte-level BPE vocabularies cut texts before merging, by the names that llama.cpp has for them.

use serde_json::{Value, json};

/// A way to cut texts.
pub(super) struct Pre {
    /// Its names.
    pub(super) names: &'static [&'static str],
    /// Patterns that are applied one after another.
    patterns: &'static [&'static str],
    /// Whether a text that is a token as a whole is not merged.
    pub(super) ignores_merges: bool,
    /// Whether texts begin with BOS where the metadata do not say.
    pub(super) adds_bos: bool,
    /// Whether texts are normalized to NFC first.
    pub(super) normalizes: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Patterns as in the `tokenizer.json` of Llama 3, Qwen 2 and GPT-2; `default` is llama.cpp's own.
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
        patterns: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
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

/// The way called `name`.
pub(super) fn find(name: &str) -> Option<&'static Pre> {
    ALL.iter().find(|pre| pre.names.contains(&name))
}

/// All names.
pub(super) fn names() -> String {
    ALL.iter().flat_map(|pre| pre.names).copied().collect::<Vec<_>>().join(", ")
}

impl Pre {
    /// The `pre_tokenizer` of a `tokenizer.json`.
    pub(super) fn json(&self) -> Value {
        let split = |pattern: &&str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
        let steps: Vec<Value> = self.patterns.iter().map(split).chain([bytes]).collect();
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}
