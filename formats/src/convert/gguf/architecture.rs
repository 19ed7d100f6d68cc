//! `config.json` as GGUF's metadata.

use super::Source;
use crate::config::family::GgufName;
use crate::config::{Config, Family, RopeScaling};
use crate::error::{Error, Result};
use crate::json::Object;
use crate::{CONFIG, EmbeddingConfig, GgufHeader, TensorType};

/// llama.cpp's number of the pooling to a text's last token.
const LAST_TOKEN: u32 = 3;

/// Adds the fields of `config.json` to `header`, for matrices of type `kind`. Returns the family's
/// name in GGUF.
pub(super) fn describe(
    source: &Source<'_>,
    kind: TensorType,
    header: &mut GgufHeader,
) -> Result<&'static GgufName> {
    let config = &source.config;
    let label = source.files.label(CONFIG);
    let family = Family::of(&Object::new(&label, &source.fields))?;
    let name = family.gguf_name(kind).ok_or_else(|| {
        Error::unsupported(&label, "model_type", family.model_type, "a family that GGUF files have")
    })?;
    let architecture = name.architecture;
    header.text("general.architecture", architecture);
    header.text("general.name", source.files.name());
    header.unsigned("general.quantization_version", 2);
    header.unsigned("general.file_type", file_type(kind));
    let key = |name: &str| format!("{architecture}.{name}");
    for (name, value) in [
        ("block_count", config.layers),
        ("context_length", config.max_positions),
        ("embedding_length", config.hidden_size),
        ("feed_forward_length", config.intermediate_size),
        ("attention.head_count", config.heads),
        ("attention.head_count_kv", config.kv_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
        ("rope.dimension_count", config.head_dim),
        ("vocab_size", config.vocab_size),
    ] {
        // `Config` bounds all of them far below `u32::MAX`.
        header.unsigned(&key(name), u32::try_from(value).unwrap_or(u32::MAX));
    }
    if let Some(eps) = config.linear_norm_eps.filter(|eps| *eps != config.rms_norm_eps) {
        let expected = format!("{}, as of the other norms, to write GGUF", config.rms_norm_eps);
        let field = "quantization_config.rms_norm_eps";
        return Err(Error::unsupported(&label, field, eps.to_string(), expected));
    }
    header.float(&key("attention.layer_norm_rms_epsilon"), config.rms_norm_eps);
    if EmbeddingConfig::load(source.files, config)?.is_some() {
        header.unsigned(&key("pooling_type"), LAST_TOKEN);
    }
    header.float(&key("rope.freq_base"), config.rope.theta);
    stretching(source, header, &key)?;
    if let Some(activation) = name.activations.first() {
        header.text(&name.activation_key(), activation);
    }
    Ok(name)
}

/// Adds the stretching of the rotary embedding, as far as it is more than divisors of frequencies.
fn stretching(source: &Source<'_>, header: &mut GgufHeader, key: &impl Fn(&str) -> String) -> Result<()> {
    let attention_factor = match source.config.rope.scaling {
        RopeScaling::Yarn { factor, beta_fast, beta_slow, original_positions, attention_factor } => {
            if (beta_fast, beta_slow) != (32.0, 1.0) {
                let (file, found) = (source.files.label(CONFIG), format!("{beta_fast} and {beta_slow}"));
                let expected = "32 and 1, to write GGUF";
                return Err(Error::unsupported(file, "beta_fast and beta_slow", found, expected));
            }
            header.text(&key("rope.scaling.type"), "yarn");
            header.float(&key("rope.scaling.factor"), factor);
            header.unsigned(&key("rope.scaling.original_context_length"), original_positions as u32);
            // llama.cpp multiplies by the paper's factor itself.
            attention_factor / (0.1 * libm::logf(factor.max(1.0)) + 1.0)
        }
        _ => source.config.rope.attention_factor(),
    };
    if (attention_factor - 1.0).abs() > 1e-6 {
        header.float(&key("rope.scaling.attn_factor"), attention_factor);
    }
    Ok(())
}

/// Returns the divisors of the rotary embedding's frequencies, or `None` if keys describe them or all are 1.
pub(super) fn rope_factors(source: &Source<'_>) -> Option<Vec<f32>> {
    let Config { rope, head_dim, .. } = &source.config;
    rope.factors(*head_dim).filter(|factors| factors.iter().any(|factor| *factor != 1.0))
}

/// Returns `general.file_type`, as llama.cpp and bitnet.cpp number files of mostly one type.
fn file_type(kind: TensorType) -> u32 {
    match kind {
        TensorType::Tq1_0 => 36,
        TensorType::Tq2_0 => 37,
        TensorType::Q2_0 => 41,
        _ => 40,
    }
}
