//! `config.json` in GGUF's words.

use super::Source;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::json::Object;
use crate::{CONFIG, GgufHeader, TensorType};

/// The matrices whose rows llama.cpp expects interleaved.
pub(super) struct Interleaved(Option<[usize; 2]>);

impl Interleaved {
    /// In how many heads the rows of the matrix `name` are interleaved.
    pub(super) fn heads(&self, name: &str) -> Option<usize> {
        let [queries, keys] = self.0?;
        if name.ends_with("q_proj.weight") {
            Some(queries)
        } else {
            name.ends_with("k_proj.weight").then_some(keys)
        }
    }
}

/// Adds what `config.json` says to `header`, for matrices of type `kind`.
pub(super) fn describe(
    source: &Source<'_>,
    kind: TensorType,
    header: &mut GgufHeader,
) -> Result<Interleaved> {
    let config = Config::load(source.files)?;
    let label = source.files.label(CONFIG);
    let root = Object::new(&label, &source.config);
    let (architecture, activation) = architecture(&root, kind)?;
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
        // Config bounds all of them far below.
        header.unsigned(&key(name), u32::try_from(value).unwrap_or(u32::MAX));
    }
    header.float(&key("attention.layer_norm_rms_epsilon"), config.rms_norm_eps);
    header.float(&key("rope.freq_base"), config.rope.theta);
    if let Some(activation) = activation {
        header.text(&key("hidden_activation"), activation);
    }
    Ok(Interleaved((architecture == "llama").then_some([config.heads, config.kv_heads])))
}

/// What the frequencies of the rotary embedding are divided by, if not all by 1.
pub(super) fn rope_factors(source: &Source<'_>) -> Result<Option<Vec<f32>>> {
    let Config { rope, head_dim, .. } = Config::load(source.files)?;
    match rope.factors(head_dim) {
        Some(factors) => Ok(Some(factors).filter(|factors| factors.iter().any(|factor| *factor != 1.0))),
        None => {
            let expected = "default, linear, llama3 or longrope with attention_factor 1, to write GGUF";
            Err(Error::unsupported(source.files.label(CONFIG), "rope_scaling", "another", expected))
        }
    }
}

/// The architecture's name, and its activation where the name leaves it open.
///
/// For the activation relu², bitnet.cpp has an architecture of its own; llama.cpp has the key `hidden_activation`.
fn architecture(root: &Object<'_>, kind: TensorType) -> Result<(&'static str, Option<&'static str>)> {
    let class = root.get("architectures").and_then(|list| list.get(0)?.as_str());
    match (root.text("model_type")?.unwrap_or_default(), class) {
        (_, Some("BitnetForCausalLM")) => Ok(("bitnet", Some("silu"))),
        ("bitnet", _) if kind == TensorType::I2S => Ok(("bitnet-b1.58", None)),
        ("bitnet", _) => Ok(("bitnet", Some("relu2"))),
        ("llama", _) => Ok(("llama", None)),
        ("qwen3", _) => Ok(("qwen3", None)),
        (other, _) => Err(root.unsupported("model_type", other, "bitnet, llama or qwen3")),
    }
}

/// llama.cpp's and bitnet.cpp's numbers of mostly one type.
fn file_type(kind: TensorType) -> u32 {
    match kind {
        TensorType::Tq1_0 => 36,
        TensorType::Tq2_0 => 37,
        TensorType::Q2_0 => 41,
        _ => 40,
    }
}
