//! Modules that stay floats, as `modules_to_not_convert` in `quantization_config` lists them.

use regex::{RegexSet, RegexSetBuilder};
use serde_json::Value;

use super::tensors::Role;
use super::{Config, HEAD};
use crate::error::Result;
use crate::json::Object;

const FIELD: &str = "modules_to_not_convert";

/// The patterns of names, with the meaning that transformers gives them.
struct Patterns<'a> {
    /// Patterns of whole names.
    set: RegexSet,
    texts: Vec<&'a str>,
}

impl<'a> Patterns<'a> {
    fn read(object: &Object<'a>) -> Result<Option<Self>> {
        let Some(value) = object.get(FIELD) else { return Ok(None) };
        let texts = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        let texts: Vec<&str> = texts.ok_or_else(|| object.malformed(FIELD, "is not a list of texts"))?;
        let set = RegexSetBuilder::new(texts.iter().map(|text| format!(r"\A(?:{text})\z"))).build();
        let set = set.map_err(|e| object.malformed(FIELD, &format!("a pattern cannot be read: {e}")))?;
        Ok(Some(Patterns { set, texts }))
    }

    /// Returns true if a pattern is the end of `name`, or matches its start up to a full stop or to the
    /// end.
    fn contain(&self, name: &str) -> bool {
        let ends_here = |end: &usize| {
            let (start, rest) = name.split_at(*end);
            start.ends_with('.') || rest.is_empty() || rest.starts_with('.')
        };
        self.texts.iter().any(|text| name.ends_with(text))
            || (0..=name.len()).filter(ends_here).any(|end| self.set.is_match(&name[..end]))
    }
}

impl Config {
    /// Reads `modules_to_not_convert`. Without the list, transformers keeps the head only.
    pub(super) fn keep_modules(&mut self, root: &Object<'_>) -> Result<()> {
        let Some(quantization) = root.object("quantization_config", "quantization_config.")? else {
            return Ok(());
        };
        let Some(patterns) = Patterns::read(&quantization)? else { return Ok(()) };
        self.ternary_head = !patterns.contain(HEAD);
        if self.ternary_head
            && self.tie_word_embeddings
            && quantization.text("quantization_mode")? == Some("online")
        {
            let expected = "a list with lm_head, because the embedding serves as the head";
            return Err(quantization.unsupported(FIELD, "without lm_head", expected));
        }
        for layer in 0..self.layers {
            let matrices = self.layer(layer).filter(|(_, tensor)| matches!(tensor.role, Role::Ternary(..)));
            let kept: Vec<String> = matrices
                .map(|(part, _)| part.module(layer))
                .filter(|module| patterns.contain(module))
                .collect();
            self.float_modules.extend(kept);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contain(patterns: &[&str], name: &str) -> bool {
        let Value::Object(map) = json!({ FIELD: patterns }) else { unreachable!() };
        Patterns::read(&Object::new("config.json", &map)).unwrap().unwrap().contain(name)
    }

    /// The expected values are those of transformers' `should_convert_module`.
    #[test]
    fn patterns_match_as_in_transformers() {
        let name = "model.layers.11.mlp.gate_proj";
        for kept in [
            "gate_proj",
            "proj",
            "",
            "model",
            "model.layers.11",
            "model.layers.",
            "model.layers.*",
            r"model\.layers\.\d+\.mlp",
            "model.layers.1.",
            "model.layers.(2|11).mlp.gate_proj",
            "x|model",
            name,
        ] {
            assert!(contain(&["lm_head", kept], name), "{kept}");
        }
        for converted in [
            "lm_head",
            "model.layers.1",
            "mlp",
            "mlp.gate",
            "layers.11",
            "gate",
            "mode",
            "model.layers.11.mlp.gate",
        ] {
            assert!(!contain(&[converted], name), "{converted}");
        }
    }
}
