//! What llama.cpp calls the tensors that transformers calls otherwise.

/// Parts of a layer: transformers' name, GGUF's.
const LAYER: [(&str, &str); 15] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.attn_sub_norm", "attn_sub_norm"),
    ("self_attn.inner_attn_ln", "attn_sub_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.ffn_sub_norm", "ffn_sub_norm"),
    ("mlp.ffn_layernorm", "ffn_sub_norm"),
];

/// The last has no name in transformers.
const MODEL: [(&str, &str); 4] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("rope_freqs", "rope_freqs"),
];

/// The GGUF name of the tensor that transformers calls `name`, if there is one.
pub(super) fn gguf_name(name: &str) -> Option<String> {
    let name = name.strip_suffix(".weight")?;
    let find = |table: &[(&str, &'static str)], name: &str| {
        table.iter().find(|(canonical, _)| *canonical == name).map(|(_, gguf)| *gguf)
    };
    if let Some(gguf) = find(&MODEL, name) {
        return Some(format!("{gguf}.weight"));
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    Some(format!("blk.{layer}.{}.weight", find(&LAYER, part)?))
}
