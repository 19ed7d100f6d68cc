//! The table of model families: everything that one family does differently from another.
//!
//! Loading, converting, GGUF and synthetic models all read these rows. A new family is a new row,
//! listed in [`FAMILIES`], and new [parts](super::Part) if it has tensors that no other family has.

use super::Activation;
use crate::TensorType;
use crate::error::{Error, Result};
use crate::json::Object;

/// A family of models: its names, its blocks, and defaults for absent fields.
#[derive(Debug)]
pub struct Family {
    /// transformers' `model_type`.
    pub(crate) model_type: &'static str,
    /// transformers' class, as `architectures` in `config.json` names it.
    pub(crate) class: &'static str,
    /// True if the class identifies the family, because another family has the same model type.
    pub(crate) known_by_class: bool,
    /// GGUF's names of the family. The first name of a dialect is written, the others are only
    /// read.
    pub(crate) gguf: &'static [GgufName],
    /// Activation of the feed-forward block's gate.
    pub activation: Activation,
    /// True if attention and feed-forward have an RMSNorm before their output projections.
    pub sub_norms: bool,
    /// True if each head of queries and keys has an RMSNorm.
    pub query_key_norms: bool,
    /// True if attention and feed-forward have an RMSNorm after their output projections.
    pub post_norms: bool,
    /// True if safetensors files store the gains of norms less 1, except for norms before ternary layers.
    pub(crate) gains_less_one: bool,
    /// True if embeddings are multiplied by the square root of the hidden size.
    pub(crate) scales_embedding: bool,
    /// True if some layers see only the latest positions.
    pub(crate) has_windows: bool,
    /// Width of a head. `None` derives it from the hidden size.
    pub(crate) head_dim: Option<usize>,
    /// Base of the rotary embedding.
    pub(crate) rope_theta: f32,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f32,
    /// True if a checkpoint without `quantization_config` holds master weights, which are still to
    /// be rounded.
    pub(crate) master_weights: bool,
    /// Parts that the family's safetensors files name differently: the usual name, then the
    /// family's name.
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// Numbers that transformers' class expects in `config.json` beyond the usual fields.
    pub(crate) extra_fields: &'static [(&'static str, u64)],
}

/// One name of a family in GGUF files.
#[derive(Debug)]
pub(crate) struct GgufName {
    /// The value of `general.architecture`, which also starts the model's own keys.
    pub(crate) architecture: &'static str,
    /// The program whose converter writes this name.
    pub(crate) dialect: Dialect,
    /// Values of the key `hidden_activation` that select this family; the first one is written.
    /// Empty if the architecture alone selects the family.
    pub(crate) activations: &'static [&'static str],
    /// True if each head's rows of query and key matrices are interleaved: see
    /// `gguf/interleave.rs`.
    pub(crate) interleaved: bool,
}

/// A program that defines GGUF names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// <https://github.com/ggml-org/llama.cpp>
    LlamaCpp,
    /// <https://github.com/microsoft/BitNet>, a fork with the tensor type I2_S.
    BitnetCpp,
}

impl GgufName {
    /// A name of llama.cpp that selects its family alone.
    const fn llama_cpp(architecture: &'static str) -> Self {
        GgufName { architecture, dialect: Dialect::LlamaCpp, activations: &[], interleaved: false }
    }

    /// The key that tells families of one architecture apart.
    pub(crate) fn activation_key(&self) -> String {
        format!("{}.hidden_activation", self.architecture)
    }
}

/// llama.cpp's value of `hidden_activation` for files that lack the key.
const DEFAULT_ACTIVATION: &str = "silu";

/// Every family.
pub(crate) static FAMILIES: [&Family; 5] = [&BITNET, &LLAMA, &ONE_BIT_LLM, &QWEN3, &GEMMA3];

/// Llama with ternary layers, such as Falcon3-1.58bit, Falcon-E and Llama3-8B-1.58. Other rows
/// start from it.
pub const LLAMA: Family = Family {
    model_type: "llama",
    class: "LlamaForCausalLM",
    known_by_class: false,
    gguf: &[GgufName { interleaved: true, ..GgufName::llama_cpp("llama") }],
    activation: Activation::Silu,
    sub_norms: false,
    query_key_norms: false,
    post_norms: false,
    gains_less_one: false,
    scales_embedding: false,
    has_windows: false,
    head_dim: None,
    rope_theta: 10_000.0,
    rms_norm_eps: 1e-6,
    master_weights: false,
    renamed: &[],
    extra_fields: &[],
};

/// BitNet b1.58 2B-4T.
pub const BITNET: Family = Family {
    model_type: "bitnet",
    class: "BitNetForCausalLM",
    gguf: &[
        GgufName { activations: Activation::Relu2.gguf_names(), ..GgufName::llama_cpp("bitnet") },
        GgufName { dialect: Dialect::BitnetCpp, ..GgufName::llama_cpp("bitnet-b1.58") },
        GgufName { dialect: Dialect::BitnetCpp, ..GgufName::llama_cpp("bitnet-25") },
    ],
    activation: Activation::Relu2,
    sub_norms: true,
    rope_theta: 500_000.0,
    rms_norm_eps: 1e-5,
    ..LLAMA
};

/// The reproduction of BitNet b1.58 by 1bitLLM. Its class differs from [`BITNET`]'s in one letter's
/// case.
pub const ONE_BIT_LLM: Family = Family {
    class: "BitnetForCausalLM",
    known_by_class: true,
    gguf: &[GgufName { activations: Activation::Silu.gguf_names(), ..GgufName::llama_cpp("bitnet") }],
    sub_norms: true,
    master_weights: true,
    renamed: &[
        ("self_attn.attn_sub_norm", "self_attn.inner_attn_ln"),
        ("mlp.ffn_sub_norm", "mlp.ffn_layernorm"),
    ],
    extra_fields: &[("weight_bits", 1), ("input_bits", 8)],
    ..LLAMA
};

/// Qwen3 with ternary layers, such as Ternary-Bonsai.
pub const QWEN3: Family = Family {
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    gguf: &[GgufName::llama_cpp("qwen3")],
    query_key_norms: true,
    head_dim: Some(128),
    ..LLAMA
};

/// Gemma 3's text model with ternary layers, such as BitNet-embedding 270M.
pub const GEMMA3: Family = Family {
    model_type: "gemma3_text",
    class: "Gemma3ForCausalLM",
    // The published GGUF files lack the windows, and store gains in another way than llama.cpp.
    gguf: &[],
    activation: Activation::GeluTanh,
    query_key_norms: true,
    post_norms: true,
    gains_less_one: true,
    scales_embedding: true,
    has_windows: true,
    head_dim: Some(256),
    rope_theta: 1_000_000.0,
    renamed: &[
        ("post_attention_layernorm", "pre_feedforward_layernorm"),
        ("post_attention_norm", "post_attention_layernorm"),
        ("post_feedforward_norm", "post_feedforward_layernorm"),
    ],
    ..LLAMA
};

impl Family {
    /// Returns the family of a `config.json`.
    ///
    /// # Errors
    /// Fails if the model type is missing or unknown.
    pub(crate) fn of(root: &Object<'_>) -> Result<&'static Family> {
        if let Some(family) = Self::find(root) {
            return Ok(family);
        }
        let model_type = root.require("model_type", root.text("model_type")?)?;
        let known = FAMILIES.iter().filter(|family| !family.known_by_class).map(|family| family.model_type);
        Err(root.unsupported("model_type", model_type, &either(known)))
    }

    /// Returns the family of a `config.json`, or `None` if it is unknown.
    pub(crate) fn find(root: &Object<'_>) -> Option<&'static Family> {
        let classes = root.get("architectures").and_then(|classes| classes.as_array());
        let has_class = |family: &Family| classes.is_some_and(|list| list.iter().any(|c| c == family.class));
        let model_type = root.get("model_type").and_then(|name| name.as_str());
        let by_class = FAMILIES.iter().find(|family| family.known_by_class && has_class(family));
        let by_type =
            || FAMILIES.iter().find(|family| !family.known_by_class && Some(family.model_type) == model_type);
        by_class.or_else(by_type).copied()
    }

    /// Returns the family of the GGUF file called `label`, given its architecture. `activation`
    /// reads a text of the metadata.
    ///
    /// # Errors
    /// Fails if the architecture or its activation is unknown, naming the key.
    pub(crate) fn of_gguf<'a>(
        label: &str,
        architecture: &str,
        activation: impl Fn(&str) -> Result<Option<&'a str>>,
    ) -> Result<&'static Family> {
        let names = FAMILIES.iter().flat_map(|family| family.gguf.iter().map(move |name| (*family, name)));
        let candidates: Vec<_> =
            names.clone().filter(|(_, name)| name.architecture == architecture).collect();
        let Some((first, name)) = candidates.first() else {
            let known = names.map(|(_, name)| name.architecture);
            return Err(Error::unsupported(label, "general.architecture", architecture, either(known)));
        };
        if name.activations.is_empty() {
            return Ok(first);
        }
        let key = name.activation_key();
        let found = activation(&key)?.unwrap_or(DEFAULT_ACTIVATION);
        let family = candidates.iter().find(|(_, name)| name.activations.contains(&found));
        family.map(|(family, _)| *family).ok_or_else(|| {
            let known = candidates.iter().filter_map(|(_, name)| name.activations.first().copied());
            Error::unsupported(label, key, found, either(known))
        })
    }

    /// Returns true if files of this GGUF architecture have interleaved rows of queries and keys.
    pub(crate) fn is_interleaved(architecture: &str) -> bool {
        let mut names = FAMILIES.iter().flat_map(|family| family.gguf);
        names.any(|name| name.architecture == architecture && name.interleaved)
    }

    /// Returns the GGUF name for files whose ternary matrices have this type, or `None` if the family has no name. bitnet.cpp defines
    /// I2_S, so such files take its name where it has one. All others take llama.cpp's.
    pub(crate) fn gguf_name(&self, kind: TensorType) -> Option<&'static GgufName> {
        let own = |name: &&GgufName| kind == TensorType::I2S && name.dialect == Dialect::BitnetCpp;
        self.gguf.iter().find(own).or(self.gguf.first())
    }

    /// Returns the name that the family's safetensors files give to the tensor `name`.
    pub(crate) fn stored_name(&self, name: &str) -> String {
        let renamed = self.renamed.iter().find(|(usual, _)| name.contains(&format!(".{usual}.")));
        renamed.map_or_else(|| name.to_owned(), |(usual, own)| name.replace(usual, own))
    }
}

/// Returns `a, b or c`, each name once.
pub(super) fn either<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    match unique.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
