//! The `config.json` that transformers would have for a GGUF file.

use serde_json::{Value, json};

use super::names::ROPE_FACTORS;
use super::{GgufFile, vocabulary};
use crate::Checkpoint;
use crate::config::Family;
use crate::error::{Error, Result};

impl GgufFile {
    /// Returns the `config.json` of this model.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Unsupported`] name the metadata's key.
    pub(super) fn config_json(&self) -> Result<Value> {
        self.check_whole()?;
        let prefix = self.architecture()?;
        let family = Family::of_gguf(self.label(), prefix, |key| self.metadata.text(key))?;
        let key = |name: &str| format!("{prefix}.{name}");
        let size = |name: &str| self.metadata.uniform(&key(name));
        let required = |name: &str| self.required(&key(name), size(name)?);

        let (hidden, heads) = (required("embedding_length")?, required("attention.head_count")?);
        let head_dim = self.head_dim(prefix, hidden, heads)?;
        let mut config = json!({
            "architectures": [family.class],
            "model_type": family.model_type,
            "hidden_act": family.activation.name(),
            "vocab_size": self.rows("token_embd.weight")?,
            "hidden_size": hidden,
            "intermediate_size": required("feed_forward_length")?,
            "num_hidden_layers": required("block_count")?,
            "num_attention_heads": heads,
            "num_key_value_heads": size("attention.head_count_kv")?.unwrap_or(heads),
            "head_dim": head_dim,
            "max_position_embeddings": required("context_length")?,
            "tie_word_embeddings": !self.contains("lm_head.weight"),
            "attention_bias": false,
            "quantization_config": {
                "quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline",
            },
        });
        let epsilon = key("attention.layer_norm_rms_epsilon");
        config["rms_norm_eps"] = self.required(&epsilon, self.metadata.float(&epsilon)?)?.into();
        if self.has_linear_norms() {
            config["quantization_config"]["use_rms_norm"] = true.into();
            config["quantization_config"]["rms_norm_eps"] = config["rms_norm_eps"].clone();
        }
        // llama.cpp's default.
        config["rope_theta"] = self.metadata.float(&key("rope.freq_base"))?.unwrap_or(10_000.0).into();
        if let Some(scaling) = self.rope_scaling(prefix, head_dim)? {
            config["rope_scaling"] = scaling;
        }
        for (field, value) in family.extra_fields {
            config[*field] = (*value).into();
        }
        self.add_tokens(&mut config)?;
        Ok(config)
    }

    /// Adds the tokens that start and end a text.
    fn add_tokens(&self, config: &mut Value) -> Result<()> {
        let kept_ends = self.kept_ends()?;
        let Some(vocabulary) = vocabulary::Vocabulary::read(self)? else {
            config["eos_token_id"] = kept_ends.unwrap_or_default().into();
            return Ok(());
        };
        config["bos_token_id"] = vocabulary.bos()?.into();
        config["eos_token_id"] = kept_ends.unwrap_or(vocabulary.ends).into();
        Ok(())
    }

    fn head_dim(&self, prefix: &str, hidden: u64, heads: u64) -> Result<u64> {
        let mut stated = None;
        for name in ["attention.key_length", "attention.value_length", "rope.dimension_count"] {
            let key = format!("{prefix}.{name}");
            match (self.metadata.unsigned(&key)?, stated) {
                (Some(length), Some(other)) if length != other => {
                    let expected = format!("{other}, as the other widths of a head");
                    return Err(Error::unsupported(self.label(), key, length.to_string(), expected));
                }
                (length, other) => stated = length.or(other),
            }
        }
        match stated.or(hidden.checked_div(heads)) {
            Some(width) => Ok(width),
            None => Err(self.metadata.malformed(&format!("{prefix}.attention.head_count"), "is 0")),
        }
    }

    /// Returns `config.json`'s `rope_scaling`, if the rotary embedding is stretched, as llama.cpp
    /// stretches it.
    fn rope_scaling(&self, prefix: &str, head_dim: u64) -> Result<Option<Value>> {
        let key = |name: &str| format!("{prefix}.rope.{name}");
        let number = |name: &str| self.metadata.float(&key(name));
        let kind = self.metadata.text(&key("scaling.type"))?.unwrap_or("linear");
        // Older files have the second key.
        let factor =
            number("scaling.factor")?.map_or_else(|| number("scale_linear"), |some| Ok(Some(some)))?;
        let factor = factor.filter(|factor| kind != "none" && *factor != 0.0).unwrap_or(1.0);
        let attention_factor = number("scaling.attn_factor")?.unwrap_or(1.0);
        let width = usize::try_from(head_dim / 2).unwrap_or(usize::MAX);
        let divisors = self.contains(ROPE_FACTORS).then(|| self.vector(ROPE_FACTORS, width)).transpose()?;
        let unsupported =
            |found, expected| Err(Error::unsupported(self.label(), key("scaling.type"), found, expected));
        match (kind, divisors) {
            ("none" | "linear" | "yarn", None) if factor == 1.0 && attention_factor == 1.0 => Ok(None),
            ("linear", None) if attention_factor == 1.0 => {
                Ok(Some(json!({ "rope_type": "linear", "factor": factor })))
            }
            ("none" | "linear", divisors) => {
                let divisors = divisors.unwrap_or_else(|| vec![1.0; width]);
                let divisors: Vec<f64> = divisors.into_iter().map(|n| f64::from(n) * factor).collect();
                Ok(Some(json!({
                    "rope_type": "longrope", "attention_factor": attention_factor,
                    "short_factor": divisors, "long_factor": divisors,
                })))
            }
            ("yarn", None) => {
                let by_paper = if factor > 1.0 { 0.1 * libm::log(factor) + 1.0 } else { 1.0 };
                let mut scaling = json!({
                    "rope_type": "yarn", "factor": factor, "attention_factor": by_paper * attention_factor,
                });
                if let Some(positions) = self.metadata.unsigned(&key("scaling.original_context_length"))? {
                    scaling["original_max_position_embeddings"] = positions.into();
                }
                Ok(Some(scaling))
            }
            ("yarn", Some(_)) => unsupported("yarn next to rope_freqs.weight", "one of the two"),
            (other, _) => unsupported(other, "none, linear or yarn"),
        }
    }

    /// Returns true if ternary layers have norms of their own.
    fn has_linear_norms(&self) -> bool {
        self.contains("model.layers.0.self_attn.q_proj.rms_norm.weight")
    }

    /// Returns true if the model was made for embeddings: texts are pooled to their last token.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names the key of another pooling.
    pub(crate) fn pools_last_token(&self) -> Result<bool> {
        const MEAN: u64 = 1;
        const LAST: u64 = 3;
        let key = format!("{}.pooling_type", self.architecture()?);
        match self.metadata.unsigned(&key)? {
            None | Some(0) => Ok(false),
            Some(LAST) => Ok(true),
            // BitNet-embedding's converter writes the mean where it does not find the pooling, which is the last token.
            Some(MEAN) if self.has_linear_norms() => Ok(true),
            Some(other) => {
                Err(Error::unsupported(self.label(), key, other.to_string(), "3 (the last token)"))
            }
        }
    }

    /// Returns the number of rows of the matrix `name`.
    fn rows(&self, name: &str) -> Result<usize> {
        match self.shape(name) {
            Some([rows, _]) => Ok(*rows),
            Some(_) => Err(self.metadata.malformed(name, "is not a matrix")),
            None => Err(self.metadata.malformed(name, "the tensor is missing")),
        }
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.metadata.malformed(key, "is missing"))
    }
}
