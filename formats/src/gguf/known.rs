//! Tokens that llama.cpp knows by their texts, whatever kinds a file gives them: see
//! `llama_vocab::impl::load` in its llama-vocab.cpp.

use std::borrow::Cow;
use std::collections::HashMap;

use super::vocabulary::Kind;
use crate::error::Result;

/// Texts that end an answer.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// A token that marks a place in code to be filled in. Without its key, the first token with one of
/// the texts counts.
struct Filler {
    key: &'static str,
    texts: &'static [&'static str],
    ends: bool,
}

const FILLERS: [Filler; 6] = [
    Filler {
        key: "fim_pre",
        texts: &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        ends: false,
    },
    Filler {
        key: "fim_suf",
        texts: &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        ends: false,
    },
    Filler {
        key: "fim_mid",
        texts: &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        ends: false,
    },
    Filler {
        key: "fim_pad",
        texts: &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
        ends: true,
    },
    Filler {
        key: "fim_rep",
        texts: &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
        ends: true,
    },
    Filler { key: "fim_sep", texts: &["<|file_sep|>"], ends: true },
];

/// Gives known tokens their kinds, and returns those that end an answer: first the ones that the
/// metadata name. `stated` returns the token that the metadata name for a role.
pub(super) fn recognize(
    tokens: &[Cow<'_, str>],
    kinds: &mut [Kind],
    stated: impl Fn(&str) -> Result<Option<usize>>,
) -> Result<Vec<usize>> {
    // Of tokens with the same text, the first one counts.
    let marked: HashMap<&str, usize> = (tokens.iter().enumerate().rev())
        .filter(|(_, token)| token.starts_with(['<', '[', '_', '▁']))
        .map(|(id, token)| (&**token, id))
        .collect();
    let known = |texts: &[&str]| -> Vec<usize> {
        let mut ids: Vec<usize> = texts.iter().filter_map(|text| marked.get(text).copied()).collect();
        ids.sort_unstable();
        ids
    };

    let mut ends = Vec::new();
    for role in ["eos", "eot", "eom"] {
        ends.extend(stated(role)?);
    }
    for filler in &FILLERS {
        let mut id = stated(filler.key)?;
        if id.is_none() {
            id = known(filler.texts).first().copied();
            id.iter().for_each(|id| kinds[*id] = Kind::Control);
        }
        ends.extend(id.filter(|_| filler.ends));
    }
    for id in known(&ENDS) {
        kinds[id] = Kind::Control;
        ends.push(id);
    }
    for id in known(&["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"]) {
        kinds[id] = Kind::UserDefined;
    }
    let mut seen = std::collections::HashSet::new();
    ends.retain(|id| seen.insert(*id));

    // Texts that end an answer in one family and not in another.
    let ends_with = |text: &str| marked.get(text).is_some_and(|id| seen.contains(id));
    let calls = ends_with("<|call|>") || ends_with("<|calls|>");
    let harmony = calls && (ends_with("<|return|>") || ends_with("<|flush|>"));
    let gemma = ends_with("<|tool_response>") || ends_with("<|plamo:eos|>");
    for (applies, text, kind) in [(harmony, "<|end|>", Kind::UserDefined), (gemma, "</s>", Kind::Normal)] {
        if let Some(id) = marked.get(text).filter(|id| applies && seen.contains(id)) {
            kinds[*id] = kind;
            ends.retain(|end| end != id);
        }
    }
    Ok(ends)
}
