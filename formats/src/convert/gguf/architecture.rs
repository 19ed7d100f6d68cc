//! `config.json` as GGUF's metadata.

use super::Source;
use crate::config::family::GgufName;
use crate::config::{Config, Family};
use crate::error::{Error, Result};
use crate::json::Object;
use crate::{CONFIG, GgufHeader, TensorType};

/// Adds the fields of `config.json` to `header`, for matrices of type `kind`. Returns the family's
/// name in GGUF.
pub(super) fn describe(
    source: &Source<'_>,
    kind: TensorType,
    header: &mut GgufHeader,
) -> Result<&'static GgufName> {
    let config = &source.config;
    let label = source.files.label(CONFIG);
    let name = Family::of(&Object::new(&label, &source.fields))?.gguf_name(kind);
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
    header.float(&key("attention.layer_norm_rms_epsilon"), config.rms_norm_eps);
    header.float(&key("rope.freq_base"), config.rope.theta);
    if let Some(activation) = name.activations.first() {
        header.text(&name.activation_key(), activation);
    }
    Ok(name)
}

/// Returns the divisors of the rotary embedding's frequencies, or `None` if all are 1.
pub(super) fn rope_factors(source: &Source<'_>) -> Result<Option<Vec<f32>>> {
    let Config { rope, head_dim, .. } = &source.config;
    match rope.factors(*head_dim) {
        Some(factors) => Ok(Some(factors).filter(|factors| factors.iter().any(|factor| *factor != 1.0))),
        None => {
            let expected = "default, linear, llama3 or longrope with attention_factor 1, to write GGUF";
            Err(Error::unsupported(source.files.label(CONFIG), "rope_scaling", "another", expected))
        }
    }
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
