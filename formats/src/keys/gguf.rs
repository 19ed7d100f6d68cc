//! The keys of GGUF's metadata.

use super::{FALSE, ONE, Rule, Table, WINDOW, ZERO, ZERO_OR_ONE, only};

use Rule::{Harmless, Read};

/// Keys of the architecture, without its name. Unknown ones are refused.
///
/// llama.cpp reads some of the refused ones for other architectures only. A converter that writes them
/// for these means something by them.
pub(crate) static ARCHITECTURE: &Table = &[
    (
        Read,
        &[
            "attention.head_count",
            "attention.head_count_kv",
            "attention.key_length",
            "attention.layer_norm_rms_epsilon",
            "attention.value_length",
            "block_count",
            "context_length",
            "embedding_length",
            "feed_forward_length",
            "rope.dimension_count",
            "rope.freq_base",
            "rope.scale_linear",
            "rope.scaling.attn_factor",
            "rope.scaling.factor",
            "rope.scaling.original_context_length",
            "rope.scaling.type",
        ],
    ),
    (
        Harmless,
        &[
            "attention.layer_norm_epsilon",
            "pooling_type",
            "rope.scaling.finetuned",
            "tensor_data_layout",
            "vocab_size",
        ],
    ),
    (FALSE, &["expert_weights_norm", "swin_norm", "use_parallel_residual"]),
    (
        ZERO,
        &[
            "attention.clamp_kqv",
            "attention.indexer.head_count",
            "attention.kv_lora_rank",
            "attention.max_alibi_bias",
            "attention.q_lora_rank",
            "attn_logit_softcapping",
            "decoder_block_count",
            "expert_count",
            "expert_feed_forward_length",
            "expert_gating_func",
            "expert_group_count",
            "expert_group_used_count",
            "expert_shared_count",
            "expert_shared_feed_forward_length",
            "expert_used_count",
            "final_logit_softcapping",
            "leading_dense_block_count",
            "nextn_predict_layers",
            "rope.scaling.alpha",
            "rope.scaling.yarn_log_multiplier",
            "router_logit_softcapping",
        ],
    ),
    (ONE, &["attention.output_scale", "attention.value_scale", "rope.scaling.yarn_attn_factor"]),
    (ZERO_OR_ONE, &["embedding_scale", "expert_weights_scale", "logit_scale", "residual_scale"]),
    (
        only("1, or a negative number", |value, _| value.as_f64().is_some_and(|n| n == 1.0 || n < 0.0)),
        &["rope.scaling.yarn_ext_factor"],
    ),
    (only("32", |value, _| value.as_f64() == Some(32.0)), &["rope.scaling.yarn_beta_fast"]),
    (only("1", |value, _| value.as_f64() == Some(1.0)), &["rope.scaling.yarn_beta_slow"]),
    (only("true", |value, _| *value == true), &["attention.causal"]),
    (WINDOW, &["attention.sliding_window"]),
    (
        only("the activation of the architecture", |value, facts| {
            value.as_str().is_some_and(|name| facts.activations.contains(&name))
        }),
        &["hidden_activation"],
    ),
    (
        only("0, or 1 / √(width of a head)", |value, facts| {
            let usual = 1.0 / (facts.head_dim as f64).sqrt();
            value.as_f64().is_some_and(|n| n == 0.0 || (n - usual).abs() < 1e-6 * usual)
        }),
        &["attention.scale"],
    ),
    (
        only("the same as embedding_length", |value, facts| value.as_u64() == Some(facts.hidden_size as u64)),
        &["embedding_length_out"],
    ),
    (
        only("none, or zeros", |value, _| {
            value.as_array().is_some_and(|sections| sections.iter().all(|n| n.as_f64() == Some(0.0)))
        }),
        &["rope.dimension_sections"],
    ),
    // Without a sliding window, they have no use.
    (
        Harmless,
        &[
            "attention.key_length_swa",
            "attention.sliding_window_pattern",
            "attention.value_length_swa",
            "rope.dimension_count_swa",
            "rope.freq_base_swa",
        ],
    ),
];

/// Whole keys outside the architecture.
pub(crate) static OTHER: &Table = &[
    (Read, &["general.alignment", "general.architecture", "split.count", "split.no", "split.tensors.count"]),
    (only("model", |value, _| *value == "model"), &["general.type"]),
    (
        Read,
        &[
            "tokenizer.chat_template",
            "tokenizer.chat_templates",
            "tokenizer.ggml.add_bos_token",
            "tokenizer.ggml.add_eos_token",
            "tokenizer.ggml.add_space_prefix",
            "tokenizer.ggml.bos_token_id",
            "tokenizer.ggml.eom_token_id",
            "tokenizer.ggml.eos_token_id",
            "tokenizer.ggml.eot_token_id",
            "tokenizer.ggml.merges",
            "tokenizer.ggml.model",
            "tokenizer.ggml.pre",
            "tokenizer.ggml.scores",
            "tokenizer.ggml.token_type",
            "tokenizer.ggml.tokens",
            "tokenizer.ggml.unknown_token_id",
            // `convert` keeps the source's originals.
            "tercet.eos_token_ids",
            "tercet.tokenizer_config.json",
            "tokenizer.huggingface.json",
        ],
    ),
    (
        Harmless,
        &[
            "tokenizer.ggml.add_sep_token",
            "tokenizer.ggml.cls_token_id",
            "tokenizer.ggml.fim_mid_token_id",
            "tokenizer.ggml.fim_pad_token_id",
            "tokenizer.ggml.fim_pre_token_id",
            "tokenizer.ggml.fim_rep_token_id",
            "tokenizer.ggml.fim_sep_token_id",
            "tokenizer.ggml.fim_suf_token_id",
            "tokenizer.ggml.mask_token_id",
            "tokenizer.ggml.middle_token_id",
            // Tokenizers of other kinds have these.
            "tokenizer.ggml.normalizer.lowercase",
            "tokenizer.ggml.normalizer.strip_accents",
            "tokenizer.ggml.padding_token_id",
            "tokenizer.ggml.precompiled_charsmap",
            "tokenizer.ggml.prefix_token_id",
            "tokenizer.ggml.remove_extra_whitespaces",
            "tokenizer.ggml.seperator_token_id",
            "tokenizer.ggml.suffix_token_id",
            "tokenizer.ggml.token_type_count",
        ],
    ),
];

/// Starts of keys that only describe the file.
pub(crate) const DESCRIPTIVE: [&str; 6] =
    ["general.", "imatrix.", "mradermacher.", "quantize.", "tokenizer.chat_template.", "unsloth."];

/// Starts of keys that change the meaning of the weights. The second one declares rotated weights.
pub(crate) const REFUSED: [&str; 2] = ["adapter.", "prism.hadamard."];
