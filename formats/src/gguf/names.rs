//! Tensors by the names of GGUF.

use crate::config::tensors;

/// GGUF's divisors of the rotary embedding's frequencies. transformers keeps them in `config.json`
/// instead.
pub(crate) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Returns GGUF's name of the tensor that transformers calls `name`, if GGUF has such a tensor.
pub(super) fn gguf_name(name: &str) -> Option<String> {
    match name {
        ROPE_FACTORS => Some(name.to_owned()),
        _ => tensors::gguf_name(name),
    }
}
