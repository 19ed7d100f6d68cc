//! Every key of `config.json` is read, known to be harmless, or refused.

use super::*;

fn read(config: &Value) -> Result<(Config, Vec<String>)> {
    let Value::Object(map) = config else { panic!("no object") };
    Config::read(&Object::new("config.json", map))
}

/// Configurations with the keys of published models, and of transformers' own classes.
#[test]
fn published_configurations_hold_nothing_unknown() {
    let all: Value = serde_json::from_str(include_str!("published.json")).unwrap();
    for (name, config) in all.as_object().unwrap() {
        let (_, unknown) = read(config).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn keys_that_change_the_logits_are_refused_by_name() {
    let none = Value::Null;
    for (field, other, neutral) in [
        ("attention_bias", json!(true), json!(false)),
        ("mlp_bias", json!(true), json!(false)),
        ("qkv_bias", json!(true), json!(false)),
        ("alibi", json!(true), json!(false)),
        ("use_sliding_window", json!(true), json!(false)),
        ("sliding_window", json!(128), json!(512)),
        (
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            json!(["full_attention", "full_attention"]),
        ),
        ("partial_rotary_factor", json!(0.5), json!(1.0)),
        ("logit_scale", json!(0.0625), json!(1)),
        ("logits_scaling", json!(8), json!(1.0)),
        ("embedding_multiplier", json!(12), json!(1.0)),
        ("residual_multiplier", json!(0.22), json!(1.0)),
        ("attention_multiplier", json!(0.125), none.clone()),
        ("attn_logit_softcapping", json!(50.0), none.clone()),
        ("final_logit_softcapping", json!(30.0), none.clone()),
        ("num_local_experts", json!(8), json!(0)),
        ("num_experts", json!(64), json!(0)),
        ("per_layer_config", json!({"0": {"head_dim": 32}}), json!({})),
        ("use_qk_norm", json!(true), json!(false)),
        ("weight_bits", json!(2), json!(1)),
        ("input_bits", json!(4), json!(8)),
        ("quantization", json!({"bits": 2}), none.clone()),
        // Nobody knows these, but their names speak of arithmetic.
        ("head_output_scale", json!(2), none.clone()),
        ("mup_multiplier", json!(2), none.clone()),
        ("add_mystery_bias", json!(true), json!(false)),
    ] {
        let message = with(field, other).unwrap_err().to_string();
        assert!(message.starts_with(&format!("config.json: {field} is ")), "{message}");
        assert!(with(field, neutral).is_ok(), "{field}");
    }
    let windowed = |used: bool| {
        let mut config = tiny();
        (config["sliding_window"], config["use_sliding_window"]) = (json!(128), json!(used));
        parse(&config)
    };
    assert!(windowed(false).is_ok());
    assert!(windowed(true).is_err());
}

#[test]
fn unknown_keys_are_noted() {
    let mut config = tiny();
    (config["favourite_colour"], config["nothing"]) = (json!("blue"), Value::Null);
    assert_eq!(read(&config).unwrap().1, ["favourite_colour"]);
}

#[test]
fn unknown_keys_of_quantization_and_rope_are_refused() {
    let message = with_quantization("group_size", json!(128)).unwrap_err().to_string();
    assert!(message.contains("quantization_config.group_size is a key with an unknown meaning"), "{message}");
    let rope = |rope: Value| {
        let mut config = tiny();
        config["rope_scaling"] = rope;
        read(&config)
    };
    for (scaling, part) in [
        (json!({"rope_type": "linear", "factor": 2, "trick": 1}), "rope_scaling.trick is a key"),
        (json!({"rope_type": "yarn", "factor": 2, "truncate": false}), "rope_scaling.truncate is false"),
        (json!({"rope_type": "default", "partial_rotary_factor": 0.5}), "partial_rotary_factor is 0.5"),
        (json!({"rope_type": "default", "mrope_section": [8, 12, 12]}), "rope_scaling.mrope_section is"),
        (json!({"full_attention": {"rope_type": "default"}}), "rope_scaling.full_attention is a key"),
    ] {
        let message = rope(scaling).unwrap_err().to_string();
        assert!(message.contains(part), "{message} lacks {part}");
    }
    let (_, unknown) = rope(json!({"rope_type": "linear", "factor": 2, "beta_fast": 8})).unwrap();
    assert_eq!(unknown, ["rope_scaling.beta_fast"]);
}

/// The expected numbers are those of transformers' `_compute_yarn_parameters` and
/// `convert_rope_params_to_dict`.
#[test]
fn yarn_takes_its_settings_from_where_transformers_does() {
    let rope = |fields: Value| {
        let mut config = tiny();
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        parse(&config).unwrap().rope
    };
    let yarn = |rope: Rope| match rope.scaling {
        RopeScaling::Yarn { attention_factor, original_positions, .. } => {
            (attention_factor, original_positions)
        }
        other => panic!("{other:?}"),
    };
    let scaling = json!({"rope_type": "yarn", "factor": 40, "mscale": 0.707, "mscale_all_dim": 1.0});
    let (factor, _) = yarn(rope(json!({ "rope_scaling": scaling })));
    assert!((factor - 0.921_042_2).abs() < 1e-6, "{factor}");
    let scaling = json!({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 128});
    assert_eq!(yarn(rope(json!({ "rope_scaling": scaling }))).1, 128.0);
    let outside = json!({ "rope_scaling": scaling, "original_max_position_embeddings": 64 });
    assert_eq!(yarn(rope(outside)).1, 64.0);
    // The older of the two names wins.
    let both = json!({ "rope_scaling": scaling, "rope_parameters": {"rope_type": "linear", "factor": 3} });
    assert_eq!(yarn(rope(both)).1, 128.0);
}

/// transformers ties a head only if it equals the embedding, and keeps the head of the file otherwise.
#[test]
fn a_tied_head_that_differs_is_taken_from_the_file() {
    let dir = std::env::temp_dir().join(format!("tercet-tied-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut config = tiny();
    (config["vocab_size"], config["hidden_size"], config["intermediate_size"]) =
        (json!(2), json!(8), json!(8));
    (config["bos_token_id"], config["eos_token_id"]) = (json!(0), json!(1));
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let write = |head: &[f32], head_type: &str| {
        let embedding: Vec<u8> = (0..16).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let head: Vec<u8> = match head_type {
            "F32" => head.iter().flat_map(|x| x.to_le_bytes()).collect(),
            _ => head.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
        };
        let header = json!({
            "model.embed_tokens.weight": {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]},
            "lm_head.weight": {"dtype": head_type, "shape": [2, 8], "data_offsets": [64, 64 + head.len()]},
        });
        let header = header.to_string();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &embedding, &head].concat();
        std::fs::write(dir.join("model.safetensors"), bytes).unwrap();
        let files = ModelFiles::open(&dir).unwrap();
        let config = Config::load(&files).unwrap();
        (config.tie_word_embeddings, files.warnings())
    };
    let same: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let mut other = same.clone();
    other[15] = 7.0;
    assert_eq!(write(&same, "F32"), (true, Vec::new()));
    assert_eq!(write(&same, "BF16"), (true, Vec::new()));
    for head_type in ["F32", "BF16"] {
        let (tied, warnings) = write(&other, head_type);
        assert!(
            !tied && warnings.len() == 1 && warnings[0].contains("another lm_head.weight"),
            "{warnings:?}"
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn modules_that_are_not_converted_stay_floats() {
    let kept = |patterns: Value| with_quantization("modules_to_not_convert", patterns);
    let config = kept(json!(["lm_head", "model.layers.1.mlp.down_proj", "k_proj"])).unwrap();
    let roles = |layer, part| config.part(layer, part).role;
    assert_eq!(roles(1, Part::Down), Role::Dense(256, 768));
    assert_eq!(roles(0, Part::Down), Role::Ternary(256, 768));
    assert_eq!([0, 1].map(|layer| roles(layer, Part::Key)), [Role::Dense(128, 256); 2]);
    assert!(!config.ternary_head && kept(json!([])).unwrap().ternary_head);
    let message = kept(json!(["("])).unwrap_err().to_string();
    assert!(message.contains("modules_to_not_convert: a pattern cannot be read"), "{message}");
    let message = kept(json!("lm_head")).unwrap_err().to_string();
    assert!(message.contains("modules_to_not_convert: is not a list of texts"), "{message}");
}
