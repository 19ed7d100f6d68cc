//! What sets one family of models apart from another.

use super::Activation;
use crate::error::Result;
use crate::formats::is_one_bit_llm;
use crate::formats::json::Object;

/// A family's blocks, and the values that transformers' configuration class gives to absent fields.
#[derive(Debug)]
pub(in crate::model) struct Family {
    pub(in crate::model) activation: Activation,
    pub(in crate::model) sub_norms: bool,
    pub(in crate::model) query_key_norms: bool,
    /// None derives it from the hidden size.
    pub(in crate::model) head_dim: Option<usize>,
    pub(in crate::model) rope_theta: f32,
    pub(in crate::model) rms_norm_eps: f32,
}

/// BitNet b1.58 2B-4T: transformers' `BitNetForCausalLM`.
pub(in crate::model) const BITNET: Family = Family {
    activation: Activation::Relu2,
    sub_norms: true,
    query_key_norms: false,
    head_dim: None,
    rope_theta: 500_000.0,
    rms_norm_eps: 1e-5,
};

/// Llama with ternary layers, such as Falcon3-1.58bit, Falcon-E and Llama3-8B-1.58: transformers' `LlamaForCausalLM`.
pub(in crate::model) const LLAMA: Family = Family {
    activation: Activation::Silu,
    sub_norms: false,
    query_key_norms: false,
    head_dim: None,
    rope_theta: 10_000.0,
    rms_norm_eps: 1e-6,
};

/// The reproduction of BitNet b1.58 by 1bitLLM, whose class is `BitnetForCausalLM` and whose model type is Llama's.
pub(in crate::model) const ONE_BIT_LLM: Family = Family { sub_norms: true, ..LLAMA };

/// Qwen3 with ternary layers, such as Ternary-Bonsai: transformers' `Qwen3ForCausalLM`.
pub(in crate::model) const QWEN3: Family = Family { query_key_norms: true, head_dim: Some(128), ..LLAMA };

impl Family {
    /// The family of a `config.json`.
    pub(super) fn of(root: &Object<'_>) -> Result<&'static Family> {
        if is_one_bit_llm(root) {
            return Ok(&ONE_BIT_LLM);
        }
        match root.require("model_type", root.text("model_type")?)? {
            "bitnet" => Ok(&BITNET),
            "llama" => Ok(&LLAMA),
            "qwen3" => Ok(&QWEN3),
            other => Err(root.unsupported("model_type", other, "bitnet, llama or qwen3")),
        }
    }
}
