mod keys;

use super::*;
use serde_json::{Value, json};

fn tiny() -> Value {
    serde_json::from_slice(include_bytes!("../../../tests/fixtures/bitnet-tiny/config.json")).unwrap()
}

fn parse(config: &Value) -> Result<Config> {
    Config::parse(config.to_string().as_bytes(), "config.json")
}

/// The fixture with one field changed; `null` counts as absent.
fn with(field: &str, value: Value) -> Result<Config> {
    let mut config = tiny();
    config[field] = value;
    parse(&config)
}

fn with_quantization(field: &str, value: Value) -> Result<Config> {
    let mut config = tiny();
    config["quantization_config"][field] = value;
    parse(&config)
}

#[test]
fn the_fixture_is_understood() {
    let expected = Config {
        vocab_size: 320,
        hidden_size: 256,
        intermediate_size: 768,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        max_positions: 512,
        rms_norm_eps: 1e-5,
        rope: Rope { theta: 500_000.0, scaling: RopeScaling::None },
        activation: Activation::Relu2,
        sub_norms: true,
        query_key_norms: false,
        post_norms: false,
        embedding_scale: 1.0,
        local_attention: None,
        linear_norm_eps: None,
        float_modules: BTreeSet::new(),
        ternary_head: false,
        tie_word_embeddings: true,
        bos_token_id: Some(256),
        eos_token_ids: vec![257],
    };
    assert_eq!(parse(&tiny()).unwrap(), expected);
}

#[test]
fn variants_are_understood() {
    assert_eq!(with("num_key_value_heads", Value::Null).unwrap().kv_heads, 4);
    assert_eq!(with("head_dim", json!(128)).unwrap().head_dim, 128);
    assert_eq!(with("eos_token_id", json!([1, 2])).unwrap().eos_token_ids, [1, 2]);
    assert_eq!(with("rope_scaling", json!({"type": "default"})).unwrap().rope.theta, 500_000.0);
    let nested = json!({"rope_type": "default", "rope_theta": 1e4});
    assert_eq!(with_quantization("use_rms_norm", json!(true)).unwrap().linear_norm_eps, Some(1e-6));
    assert_eq!(with("rope_parameters", nested).unwrap().rope.theta, 10_000.0);
}

/// GGUF stores Llama 3's stretching as one factor for each frequency.
#[test]
fn factors_in_gguf_stretch_as_the_settings_do() {
    let rope = |path: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(path);
        Config::load(&ModelFiles::open(&path).unwrap()).unwrap().rope
    };
    let (gguf, expected) = (rope("gguf/rope.gguf"), rope("llama-tiny"));
    assert!(matches!(gguf.scaling, RopeScaling::LongRope { .. }));
    assert!(matches!(expected.scaling, RopeScaling::Llama3 { .. }));
    for (found, expected) in gguf.frequencies(32).into_iter().zip(expected.frequencies(32)) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} is not {expected}");
    }
}

#[test]
fn families_differ_by_what_their_model_type_says() {
    let of = |field, value: Value| {
        let mut config = tiny();
        config
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !["hidden_act", "rope_theta", "rms_norm_eps"].contains(&&**name));
        config[field] = value;
        let config = parse(&config).unwrap();
        (config.activation, config.sub_norms, config.query_key_norms, config.head_dim, config.rope.theta)
    };
    assert_eq!(of("model_type", json!("bitnet")), (Activation::Relu2, true, false, 64, 5e5));
    assert_eq!(of("model_type", json!("llama")), (Activation::Silu, false, false, 64, 1e4));
    assert_eq!(of("model_type", json!("qwen3")), (Activation::Silu, false, true, 128, 1e4));
    assert_eq!(of("architectures", json!(["BitnetForCausalLM"])), (Activation::Silu, true, false, 64, 1e4));
}

#[test]
fn each_bad_field_is_named() {
    let cases = [
        ("hidden_size", Value::Null, "hidden_size: is missing"),
        ("hidden_size", json!("256"), "hidden_size: \"256\" is not a whole number"),
        ("hidden_size", json!(-1), "hidden_size: -1"),
        ("hidden_size", json!(0), "hidden_size: 0"),
        ("hidden_size", json!(258), "hidden_size: 258 is not a multiple of num_attention_heads, 4"),
        ("vocab_size", json!(u64::MAX), "vocab_size"),
        ("num_hidden_layers", json!(1e9), "num_hidden_layers"),
        ("num_key_value_heads", json!(3), "num_key_value_heads: 3 does not divide"),
        ("num_key_value_heads", json!(8), "num_key_value_heads: 8"),
        ("head_dim", json!(63), "head_dim: 63"),
        ("rms_norm_eps", json!(0.0), "rms_norm_eps: 0.0 is not a positive number"),
        ("rope_theta", json!(1e300), "rope_theta: 1e+300"),
        ("rope_scaling", json!({"rope_type": "dynamic"}), "rope_scaling.rope_type is dynamic"),
        (
            "rope_scaling",
            json!({"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [1, 2]}),
            "rope_scaling.short_factor: is not a list of 32 positive numbers",
        ),
        ("rope_scaling", json!({"type": "llama3"}), "rope_scaling.low_freq_factor: is missing"),
        (
            "rope_scaling",
            json!({"rope_type": "linear", "factor": 0}),
            "rope_scaling.factor: 0 is not a positive",
        ),
        (
            "rope_scaling",
            json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}),
            "rope_scaling.high_freq_factor: 4 is not above",
        ),
        ("rope_parameters", json!({"rope_theta": "big"}), "rope_parameters.rope_theta"),
        ("model_type", json!("gpt2"), "model_type is gpt2"),
        ("hidden_act", json!("gelu"), "hidden_act is gelu"),
        ("attention_bias", json!(true), "attention_bias is true"),
        ("attention_bias", json!("no"), "attention_bias is \"no\""),
        ("eos_token_id", json!([1, "x"]), "eos_token_id"),
        ("quantization_config", json!([]), "quantization_config: is not an object"),
    ];
    for (field, value, part) in cases {
        let message = with(field, value).unwrap_err().to_string();
        assert!(message.starts_with("config.json: ") && message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn anything_but_a_json_object_is_refused() {
    for bytes in [&b""[..], b"[]", b"{", b"\xFF", b"{\"vocab_size\": 1e999}"] {
        assert!(Config::parse(bytes, "config.json").unwrap_err().is_bad_input());
    }
    let deep = "[".repeat(100_000);
    assert!(Config::parse(deep.as_bytes(), "config.json").is_err());
}

/// The body of the fuzz target: every accepted configuration keeps the promises of [`Config`].
fn accepted_means_valid(bytes: &[u8]) {
    let Ok(config) = Config::parse(bytes, "config.json") else { return };
    assert!(config.heads.is_multiple_of(config.kv_heads) && config.head_dim.is_multiple_of(2));
    assert!(config.rms_norm_eps > 0.0 && config.rope.theta > 0.0 && config.rope.theta.is_finite());
    assert!(config.eos_token_ids.iter().all(|&id| (id as usize) < config.vocab_size));
    let _ = GenerationDefaults::parse(bytes, "generation_config.json", &config);
}

#[test]
fn mutated_configs_are_refused_or_valid() {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    let text = tiny().to_string().into_bytes();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..20_000 {
        let mut bytes = text.clone();
        let at = rng.next_u64() as usize % bytes.len();
        bytes[at] = b"0123456789-.eE\"{}[],nt"[rng.next_u32() as usize % 22];
        accepted_means_valid(&bytes);
    }
}

#[test]
fn generation_defaults_are_read_and_fall_back() {
    let config = parse(&tiny()).unwrap();
    let parse = |json: Value| GenerationDefaults::parse(json.to_string().as_bytes(), "g.json", &config);
    let defaults = GenerationDefaults::parse(
        include_bytes!("../../../tests/fixtures/bitnet-tiny/generation_config.json"),
        "g.json",
        &config,
    )
    .unwrap();
    assert_eq!(defaults.eos_token_ids, [257, 258]);
    assert_eq!((defaults.temperature, defaults.top_p, defaults.top_k), (Some(0.6), Some(0.9), None));
    assert_eq!(defaults.do_sample, Some(true));

    let empty = parse(json!({})).unwrap();
    assert_eq!((empty.bos_token_id, empty.eos_token_ids), (Some(256), vec![257]));
    let absent = parse(json!({"bos_token_id": -1, "eos_token_id": [9999]})).unwrap();
    assert_eq!((absent.bos_token_id, absent.eos_token_ids), (Some(256), vec![257]));
    for (field, value) in [
        ("top_p", json!(0)),
        ("top_p", json!(1.5)),
        ("temperature", json!(-1)),
        ("top_k", json!(1.5)),
        ("min_p", json!(2)),
        ("repetition_penalty", json!(0)),
        ("eos_token_id", json!([1.5])),
    ] {
        let message = parse(json!({ field: value })).unwrap_err().to_string();
        assert!(message.starts_with(&format!("g.json: {field}: ")), "{message}");
    }
}

#[test]
fn special_tokens_outside_the_vocabulary_are_left_out_with_a_warning() {
    let mut config = tiny();
    config["bos_token_id"] = json!(-1);
    config["eos_token_id"] = json!([1, 320, 4_294_967_296u64]);
    let config: &'static [u8] = config.to_string().into_bytes().leak();
    let files = ModelFiles::embedded("tiny".into(), Box::leak(Box::new([("config.json", config)])));
    let config = Config::load(&files).unwrap();
    assert_eq!((config.bos_token_id, config.eos_token_ids), (None, vec![1]));
    let [bos, eos] = &files.warnings()[..] else { panic!("{:?}", files.warnings()) };
    assert!(bos.contains("config.json: bos_token_id: -1 is not a token"), "{bos}");
    assert!(eos.contains("config.json: eos_token_id: 320 is not a token"), "{eos}");
}
