//! The `config.json` that transformers would have for a GGUF file.

use serde_json::{Map, Value, json};

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
        let prefix = self.architecture()?;
        let family = Family::of_gguf(&self.label, prefix, |key| self.metadata.text(key))?;
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
                    return Err(Error::unsupported(&self.label, key, length.to_string(), expected));
                }
                (length, other) => stated = length.or(other),
            }
        }
        match stated.or(hidden.checked_div(heads)) {
            Some(width) => Ok(width),
            None => Err(self.metadata.malformed(&format!("{prefix}.attention.head_count"), "is 0")),
        }
    }

    /// Returns `config.json`'s `rope_scaling`, if the rotary embedding is stretched.
    fn rope_scaling(&self, prefix: &str, head_dim: u64) -> Result<Option<Value>> {
        if self.contains(ROPE_FACTORS) {
            let factors = self.vector(ROPE_FACTORS, usize::try_from(head_dim / 2).unwrap_or(usize::MAX))?;
            return Ok(Some(json!({
                "rope_type": "longrope", "factor": 1.0, "attention_factor": 1.0,
                "short_factor": factors, "long_factor": factors,
            })));
        }
        let key = |name: &str| format!("{prefix}.rope.scaling.{name}");
        let kind = self.metadata.text(&key("type"))?.unwrap_or("none");
        let factor = self.metadata.float(&key("factor"))?.unwrap_or(1.0);
        let mut scaling = Map::new();
        scaling.insert("rope_type".into(), kind.into());
        scaling.insert("factor".into(), factor.into());
        if let Some(positions) = self.metadata.unsigned(&key("original_context_length"))? {
            scaling.insert("original_max_position_embeddings".into(), positions.into());
        }
        Ok((kind != "none" && factor != 1.0).then_some(Value::Object(scaling)))
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
