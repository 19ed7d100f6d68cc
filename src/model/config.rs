//! What a model's `config.json` and `generation_config.json` say, validated.

mod generation;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::formats::json::{self, Object};
use crate::formats::{CONFIG, ModelFiles};

pub use generation::GenerationDefaults;

/// Limits far above any published model: a hostile file cannot make us compute or allocate the absurd.
mod limit {
    pub(super) const VOCAB: usize = 1 << 21;
    pub(super) const WIDTH: usize = 1 << 18;
    pub(super) const LAYERS: usize = 1 << 10;
    pub(super) const HEADS: usize = 1 << 12;
    pub(super) const HEAD_DIM: usize = 1 << 12;
    pub(super) const POSITIONS: usize = 1 << 24;
}

/// The architecture of a decoder-only transformer with ternary linear layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows of the embedding, and of the output head.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Positions that the model was trained for. Large values are legal: bound the KV cache by what is asked for.
    pub max_positions: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f32,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// The token that starts a sequence.
    pub bos_token_id: Option<u32>,
    /// The tokens that end one.
    pub eos_token_ids: Vec<u32>,
}

impl Config {
    /// Reads and validates the configuration of a model.
    ///
    /// # Errors
    /// Those of [`ModelFiles::get`] and [`Config::parse`].
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::parse(&files.get(CONFIG)?, &files.label(CONFIG))
    }

    /// Validates the `config.json` in `bytes`, which messages call `label`. Absent fields take the values that
    /// transformers' `BitNetConfig` gives them; absent sizes are errors.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for what is missing or contradictory,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for other architectures; both name the field.
    pub fn parse(bytes: &[u8], label: &str) -> Result<Self> {
        let map = json::parse(bytes, label)?;
        let root = Object::new(label, &map);
        let required = |name, largest| root.require(name, root.size(name, largest)?);

        require_bitnet(&root)?;
        let vocab_size = required("vocab_size", limit::VOCAB)?;
        let hidden_size = required("hidden_size", limit::WIDTH)?;
        let heads = required("num_attention_heads", limit::HEADS)?;
        Ok(Config {
            vocab_size,
            hidden_size,
            intermediate_size: required("intermediate_size", limit::WIDTH)?,
            layers: required("num_hidden_layers", limit::LAYERS)?,
            heads,
            kv_heads: kv_heads(&root, heads)?,
            head_dim: head_dim(&root, hidden_size, heads)?,
            max_positions: required("max_position_embeddings", limit::POSITIONS)?,
            rms_norm_eps: root.number("rms_norm_eps", "a positive number", |n| n > 0.0)?.unwrap_or(1e-5),
            rope_theta: rope_theta(&root)?,
            tie_word_embeddings: root.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: root.token_ids("bos_token_id", vocab_size)?.and_then(|ids| ids.first().copied()),
            eos_token_ids: root.token_ids("eos_token_id", vocab_size)?.unwrap_or_default(),
        })
    }
}

fn require_bitnet(root: &Object<'_>) -> Result<()> {
    let family = root.require("model_type", root.text("model_type")?)?;
    if family != "bitnet" {
        return Err(root.unsupported("model_type", family, "bitnet (BitNetForCausalLM)"));
    }
    let activation = root.text("hidden_act")?.unwrap_or("relu2");
    if activation != "relu2" {
        return Err(root.unsupported("hidden_act", activation, "relu2"));
    }
    if root.flag("attention_bias")?.unwrap_or(false) {
        return Err(root.unsupported("attention_bias", true, "false"));
    }
    if let Some(quantization) = root.object("quantization_config", "quantization_config.")?
        && quantization.flag("use_rms_norm")?.unwrap_or(false)
    {
        return Err(quantization.unsupported("use_rms_norm", true, "false"));
    }
    Ok(())
}

fn kv_heads(root: &Object<'_>, heads: usize) -> Result<usize> {
    let kv_heads = root.size("num_key_value_heads", heads)?.unwrap_or(heads);
    if heads.is_multiple_of(kv_heads) {
        Ok(kv_heads)
    } else {
        let problem = format!("{kv_heads} does not divide num_attention_heads, {heads}");
        Err(root.malformed("num_key_value_heads", &problem))
    }
}

fn head_dim(root: &Object<'_>, hidden_size: usize, heads: usize) -> Result<usize> {
    let head_dim = match root.size("head_dim", limit::HEAD_DIM)? {
        Some(head_dim) => head_dim,
        None if hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let problem = format!("{hidden_size} is no multiple of num_attention_heads, {heads}");
            return Err(root.malformed("hidden_size", &problem));
        }
    };
    if head_dim.is_multiple_of(2) && head_dim <= limit::HEAD_DIM {
        Ok(head_dim)
    } else {
        let problem = format!("{head_dim} is not an even number up to {}", limit::HEAD_DIM);
        Err(root.malformed("head_dim", &problem))
    }
}

/// The base, at the top level or, as newer versions of transformers write it, in `rope_parameters`.
fn rope_theta(root: &Object<'_>) -> Result<f32> {
    const DEFAULT: f32 = 500_000.0;
    let base = |object: &Object<'_>| object.number("rope_theta", "a positive number", |n| n > 0.0);
    let mut theta = base(root)?;
    for (name, path) in [("rope_scaling", "rope_scaling."), ("rope_parameters", "rope_parameters.")] {
        let Some(rope) = root.object(name, path)? else { continue };
        for field in ["rope_type", "type"] {
            match rope.text(field)? {
                None | Some("default") => {}
                Some(other) => return Err(rope.unsupported(field, other, "default (unscaled)")),
            }
        }
        theta = base(&rope)?.or(theta);
    }
    Ok(theta.unwrap_or(DEFAULT))
}
