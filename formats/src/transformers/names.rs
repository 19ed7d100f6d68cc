//! The names that a checkpoint gives to its tensors.

use super::Shards;
use crate::config::tensors::LINEAR_NORM;
use crate::config::{EMBEDDING, Family};

/// The beginning of names that belong to the model without its output head.
const BASE: &str = "model.";
/// BitNet-embedding's end of the name of a norm before a ternary layer.
const NORM: &str = ".norm.weight";

/// What sets the names of a checkpoint apart from transformers' usual ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    family: Option<&'static Family>,
    /// True if the checkpoint is of a model without an output head, such as `Qwen3Model`: its names lack `model.`.
    lack_head: bool,
    /// The end of the names of norms before ternary layers, if there are such norms.
    linear_norm: Option<&'static str>,
}

impl Names {
    /// Returns what sets the names in `shards` apart, of a model of `family`.
    pub(super) fn of(shards: &Shards, family: Option<&'static Family>) -> Self {
        let has = |name: &str| shards.files().any(|file| file.contains(name));
        let embedding = format!("{EMBEDDING}.weight");
        let lack_head = !has(&embedding) && has(embedding.trim_start_matches(BASE));
        let mut names = Names { family, lack_head, linear_norm: None };
        let layer = names.stored("model.layers.0.self_attn.q_proj");
        names.linear_norm = [LINEAR_NORM, NORM].into_iter().find(|end| has(&format!("{layer}{end}")));
        names
    }

    /// Returns true if the model has no output head.
    pub(crate) fn lack_head(&self) -> bool {
        self.lack_head
    }

    /// Returns true if ternary layers have norms of their own.
    pub(crate) fn have_linear_norms(&self) -> bool {
        self.linear_norm.is_some()
    }

    /// Returns true if the vector that transformers usually calls `name` is stored less 1.
    pub(super) fn store_gain_less_one(&self, name: &str) -> bool {
        self.family.is_some_and(|family| family.gains_less_one) && !name.ends_with(LINEAR_NORM)
    }

    /// Returns the checkpoint's name of the tensor that transformers usually calls `name`.
    pub(crate) fn stored(&self, name: &str) -> String {
        let mut stored = self.family.map_or_else(|| name.to_owned(), |family| family.stored_name(name));
        if let (Some(end), Some(linear)) = (self.linear_norm, stored.strip_suffix(LINEAR_NORM)) {
            stored = format!("{linear}{end}");
        }
        match stored.strip_prefix(BASE) {
            Some(rest) if self.lack_head => rest.to_owned(),
            _ => stored,
        }
    }
}
