//! Layers whose tokens see only the latest positions.

use super::rope::{self, Rope, RopeScaling};
use crate::error::Result;
use crate::json::Object;

/// Attention within a window, as in Gemma 3: most layers have it, and a rotary embedding of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalAttention {
    /// The number of positions that a token sees, its own included.
    pub window: usize,
    /// The rotary embedding of these layers.
    pub rope: Rope,
    /// True for each layer that has it.
    pub layers: Vec<bool>,
}

impl LocalAttention {
    /// The window, unless a file has another.
    const WINDOW: usize = 4096;
    /// Base of the rotary embedding, unless a file has another.
    const THETA: f32 = 10_000.0;
    /// Of this many layers, the last one sees everything.
    const PATTERN: usize = 6;

    /// Reads the windows of a `config.json` with `layers` layers. Returns `None` if every layer sees everything.
    pub(super) fn parse(root: &Object<'_>, layers: usize) -> Result<Option<Self>> {
        const TYPES: &str = "layer_types";
        let layers: Vec<bool> = match root.get(TYPES) {
            Some(value) => {
                let kind = |kind: &serde_json::Value| match kind.as_str()? {
                    "sliding_attention" => Some(true),
                    "full_attention" => Some(false),
                    _ => None,
                };
                let kinds: Option<Vec<bool>> =
                    value.as_array().and_then(|kinds| kinds.iter().map(kind).collect());
                let kinds = kinds.filter(|kinds| kinds.len() == layers);
                let problem = "is not a list of sliding_attention and full_attention, one for each layer";
                kinds.ok_or_else(|| root.malformed(TYPES, problem))?
            }
            None => {
                let pattern = |name| root.size(name, 1 << 10);
                let pattern = match pattern("sliding_window_pattern")? {
                    Some(pattern) => pattern,
                    None => pattern("_sliding_window_pattern")?.unwrap_or(Self::PATTERN),
                };
                (1..=layers).map(|layer| !layer.is_multiple_of(pattern)).collect()
            }
        };
        let window = root.size("sliding_window", usize::MAX)?.unwrap_or(Self::WINDOW);
        let theta = rope::local_theta(root)?.unwrap_or(Self::THETA);
        let local = LocalAttention { window, rope: Rope { theta, scaling: RopeScaling::None }, layers };
        Ok(local.layers.contains(&true).then_some(local))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(fields: &Value, layers: usize) -> Result<Option<LocalAttention>> {
        LocalAttention::parse(&Object::new("config.json", fields.as_object().unwrap()), layers)
    }

    /// transformers 5 lists the layers and nests the embeddings; older versions have a pattern and a base.
    #[test]
    fn both_forms_of_a_config_are_read() {
        let new = json!({
            "model_type": "gemma3_text", "sliding_window": 512,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
            },
        });
        let old = json!({
            "model_type": "gemma3_text", "sliding_window": 512, "sliding_window_pattern": 3,
            "rope_theta": 1e6, "rope_local_base_freq": 2e4,
        });
        for fields in [new, old] {
            let local = parse(&fields, 4).unwrap().unwrap();
            assert_eq!(local.layers, [true, true, false, true]);
            assert_eq!((local.window, local.rope.theta), (512, 2e4));
        }
    }

    #[test]
    fn absent_fields_have_the_defaults_of_transformers() {
        let local = parse(&json!({"model_type": "gemma3_text"}), 12).unwrap().unwrap();
        assert_eq!((local.window, local.rope.theta), (4096, 1e4));
        assert_eq!(local.layers.iter().filter(|local| **local).count(), 10);
        assert!(!local.layers[5] && !local.layers[11]);
    }

    #[test]
    fn layers_without_a_window_need_nothing_more() {
        let fields =
            json!({"model_type": "gemma3_text", "layer_types": ["full_attention", "full_attention"]});
        assert_eq!(parse(&fields, 2).unwrap(), None);
    }

    #[test]
    fn faults_name_their_field() {
        for (fields, named) in [
            (json!({"layer_types": ["full_attention"]}), "layer_types"),
            (json!({"layer_types": ["full_attention", "chunked_attention"]}), "layer_types"),
            (json!({"layer_types": 3}), "layer_types"),
            (json!({"sliding_window": 0}), "sliding_window"),
            (json!({"sliding_window_pattern": -1}), "sliding_window_pattern"),
            (json!({"rope_local_base_freq": "big"}), "rope_local_base_freq"),
        ] {
            let error = parse(&fields, 2).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
