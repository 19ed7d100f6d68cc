//! The keys of `config.json`.

use super::{EMPTY, FALSE, NEVER, ONE, Rule, Table, WINDOW, ZERO, only};

use Rule::{Harmless, Read};

/// Keys of the top level. Families share the table, because files carry keys of other families.
pub(crate) static TOP: &Table = &[
    (
        Read,
        &[
            "architectures",
            "bos_token_id",
            "eos_token_id",
            "head_dim",
            "hidden_act",
            "hidden_activation",
            "hidden_size",
            "intermediate_size",
            "is_matryoshka",
            "matryoshka_dimensions",
            "max_position_embeddings",
            "model_type",
            "num_attention_heads",
            "num_hidden_layers",
            "num_key_value_heads",
            "original_max_position_embeddings",
            "quantization_config",
            "rms_norm_eps",
            "rope_local_base_freq",
            "rope_parameters",
            "rope_scaling",
            "rope_theta",
            "sliding_window_pattern",
            "tie_word_embeddings",
            "vocab_size",
            "_sliding_window_pattern",
        ],
    ),
    // About training, memory and programs.
    (
        Harmless,
        &[
            "activation",
            "attention_dropout",
            "attn_implementation",
            "auto_map",
            "chunk_size_feed_forward",
            "decoder_start_token_id",
            "dtype",
            "embd_pdrop",
            "finetuning_task",
            "gradient_checkpointing",
            "hidden_dropout",
            "id2label",
            "initializer_range",
            "is_decoder",
            "keys_to_ignore_at_inference",
            "label2id",
            "max_window_layers",
            "model_max_length",
            "num_labels",
            "output_attentions",
            "output_hidden_states",
            "pad_token_id",
            "pretraining_tp",
            "problem_type",
            "resid_pdrop",
            "return_dict",
            "sep_token_id",
            "task_specific_params",
            "tf_legacy_loss",
            "tie_encoder_decoder",
            "tie_last_hidden_states",
            "tokenizer_class",
            "torch_dtype",
            "torchscript",
            "transformers_version",
            "unk_token_id",
            "unsloth_fixed",
            "unsloth_version",
            "use_bfloat16",
            "use_cache",
            "_attn_implementation",
            "_commit_hash",
            "_name_or_path",
            "_pre_quantization_dtype",
        ],
    ),
    // Defaults of generation, which older versions of transformers wrote here.
    (
        Harmless,
        &[
            "bad_words_ids",
            "begin_suppress_tokens",
            "diversity_penalty",
            "do_sample",
            "early_stopping",
            "encoder_no_repeat_ngram_size",
            "exponential_decay_length_penalty",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "length_penalty",
            "max_length",
            "max_new_tokens",
            "min_length",
            "no_repeat_ngram_size",
            "num_beam_groups",
            "num_beams",
            "num_return_sequences",
            "output_scores",
            "prefix",
            "remove_invalid_values",
            "repetition_penalty",
            "return_dict_in_generate",
            "suppress_tokens",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
        ],
    ),
    (
        FALSE,
        &[
            "add_bias_linear",
            "add_cross_attention",
            "add_qkv_bias",
            "alibi",
            "attention_bias",
            "bias",
            "is_encoder_decoder",
            "mlp_bias",
            "parallel_attn",
            "qkv_bias",
            "rope_interleave",
            "rope_interleaved",
            "use_alibi",
            "use_bias",
            "use_bidirectional_attention",
            "use_parallel_residual",
            "use_qkv_bias",
            "use_sliding_window",
        ],
    ),
    (
        ZERO,
        &[
            "clip_qkv",
            "moe_num_experts",
            "n_routed_experts",
            "n_shared_experts",
            "num_experts",
            "num_experts_per_tok",
            "num_local_experts",
            "num_nextn_predict_layers",
        ],
    ),
    (
        ONE,
        &[
            "embedding_multiplier",
            "lm_head_multiplier",
            "logit_scale",
            "logits_scaling",
            "partial_rotary_factor",
            "residual_multiplier",
            "rotary_pct",
            "scale_emb",
            // 1bitLLM's models keep one bit and a zero; its sibling below counts bits of activations.
            "weight_bits",
        ],
    ),
    (only("8", |value, _| value.as_u64() == Some(8)), &["input_bits"]),
    (
        NEVER,
        &[
            "attention_multiplier",
            "attn_logit_softcapping",
            "final_logit_softcapping",
            "quantization",
            "scale_depth",
        ],
    ),
    (EMPTY, &["cross_attention_hidden_size", "no_rope_layers", "per_layer_config", "pruned_heads"]),
    (WINDOW, &["sliding_window"]),
    (
        only("full_attention for every layer", |value, facts| {
            facts.has_windows
                || value.as_array().is_some_and(|layers| layers.iter().all(|layer| layer == "full_attention"))
        }),
        &["layer_types"],
    ),
    (
        only("the same as the model family", |value, facts| *value == facts.query_key_norms),
        &["qk_layernorm", "qk_norm", "use_qk_norm"],
    ),
    (
        only("the width of a head", |value, facts| value.as_f64() == Some(facts.head_dim as f64)),
        &["query_pre_attn_scalar"],
    ),
];

/// Keys of `quantization_config`. Unknown ones are refused.
pub(crate) static QUANTIZATION: &Table = &[(
    Read,
    &[
        "linear_class",
        "modules_to_not_convert",
        "quant_method",
        "quantization_mode",
        "rms_norm_eps",
        "use_rms_norm",
    ],
)];

/// Keys of `rope_scaling` that transformers knows. Unknown ones are refused.
pub(crate) static ROPE: &Table = &[
    (
        Read,
        &[
            "attention_factor",
            "beta_fast",
            "beta_slow",
            "factor",
            "high_freq_factor",
            "long_factor",
            "low_freq_factor",
            "mscale",
            "mscale_all_dim",
            "original_max_position_embeddings",
            "rope_theta",
            "rope_type",
            "short_factor",
            "type",
        ],
    ),
    (ONE, &["partial_rotary_factor"]),
    (only("true", |value, _| *value == true), &["truncate"]),
    (EMPTY, &["mrope_section"]),
];

/// The keys of `rope_scaling` that a type of stretching reads, besides its name and `rope_theta`.
/// transformers passes over the others.
pub(crate) fn of_rope(kind: &str) -> &'static [&'static str] {
    match kind {
        "linear" => &["factor"],
        "llama3" => &["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        "yarn" => &[
            "attention_factor",
            "beta_fast",
            "beta_slow",
            "factor",
            "mscale",
            "mscale_all_dim",
            "original_max_position_embeddings",
            "truncate",
        ],
        "longrope" => {
            &["attention_factor", "factor", "long_factor", "original_max_position_embeddings", "short_factor"]
        }
        _ => &[],
    }
}

/// Keys of `rope_scaling` that every type has.
pub(crate) const OF_EVERY_ROPE: [&str; 4] = ["partial_rotary_factor", "rope_theta", "rope_type", "type"];
