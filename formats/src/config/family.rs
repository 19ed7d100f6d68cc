//! What sets one family of models apart from another.

use super::Activation;
use crate::error::Result;
use crate::is_one_bit_llm;
use crate::json::Object;

/// A family's blocks, and the values that transformers' configuration class gives to absent fields.
#[derive(Debug)]
pub struct Family {
    /// The gate's activation.
    pub activation: Activation,
    /// True if attention and feed-forward have an RMSNorm before their output projections.
    pub sub_norms: bool,
    /// True if the heads of queries and keys have an RMSNorm.
    pub query_key_norms: bool,
    /// Width of a head; none derives it from the hidden size.
    pub head_dim: Option<usize>,
    /// Base of the rotary embedding.
    pub rope_theta: f32,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f32,
}

/// BitNet b1.58 2B-4T: transformers' `BitNetForCausalLM`.
pub const BITNET: Family = Family {
    activation: Activation::Relu2,
    sub_norms: true,
    query_key_norms: false,
    head_dim: None,
    rope_theta: 500_000.0,
    rms_norm_eps: 1e-5,
};

/// Llama with ternary layers, such as Falcon3-1.58bit, Falcon-E and Llama3-8B-1.58: transformers' `LlamaForCausalLM`.
pub const LLAMA: Family = Family {
    activation: Activation::Silu,
    sub_norms: false,
    query_key_norms: false,
    head_dim: None,
    rope_theta: 10_000.0,
    rms_norm_eps: 1e-6,
};

/// The reproduction of BitNet b1.58 by 1bitLLM, whose class is `BitnetForCausalLM` and whose model type is Llama's.
pub const ONE_BIT_LLM: Family = Family { sub_norms: true, ..LLAMA };

/// Qwen3 with ternary layers, such as Ternary-Bonsai: transformers' `Qwen3ForCausalLM`.
pub const QWEN3: Family = Family { query_key_norms: true, head_dim: Some(128), ..LLAMA };

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
