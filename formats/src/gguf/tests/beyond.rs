//! What a file has beyond the usual: keys, tensors and parts.

use std::path::Path;

use super::*;
use crate::config::{Config, RopeScaling};
use crate::open_checkpoint;

const HIDDEN: usize = 64;

/// The tensors of a model with one layer: names, shapes and types.
fn tensors() -> Vec<(String, Vec<usize>, TensorType)> {
    let norms = ["model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"];
    let matrices = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    let matrices = matrices.into_iter().chain(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]);
    let matrices =
        matrices.map(|part| (format!("model.layers.0.{part}.weight"), vec![HIDDEN; 2], TensorType::I2S));
    let norms = norms.map(|name| (format!("{name}.weight"), vec![HIDDEN], TensorType::F32));
    let tables = ["model.embed_tokens.weight", "lm_head.weight"]
        .map(|name| (name.to_owned(), vec![16, HIDDEN], TensorType::F32));
    tables.into_iter().chain(norms).chain(matrices).collect()
}

fn usual_keys(header: &mut GgufHeader) {
    header.text("general.architecture", "llama");
    for (name, value) in [
        ("block_count", 1),
        ("context_length", 512),
        ("embedding_length", HIDDEN as u32),
        ("feed_forward_length", HIDDEN as u32),
        ("attention.head_count", 2),
    ] {
        header.unsigned(&format!("llama.{name}"), value);
    }
    header.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
}

/// A file with these keys and tensors, whose bytes are all `byte`.
fn file(keys: impl Fn(&mut GgufHeader), tensors: &[(String, Vec<usize>, TensorType)], byte: u8) -> Vec<u8> {
    let mut header = GgufHeader::default();
    keys(&mut header);
    let mut length = 0;
    for (name, shape, kind) in tensors {
        assert!(header.tensor(name, shape, *kind), "{name}");
        length += kind.bytes(shape).unwrap().next_multiple_of(GgufHeader::ALIGNMENT);
    }
    [header.bytes(), vec![byte; length]].concat()
}

fn llama(keys: impl Fn(&mut GgufHeader)) -> ModelFiles {
    let bytes = file(
        |header| {
            usual_keys(header);
            keys(header);
        },
        &tensors(),
        0,
    );
    ModelFiles::in_gguf("m".into(), GgufFile::open(bytes.into(), "m.gguf").unwrap())
}

fn load(keys: impl Fn(&mut GgufHeader)) -> Result<Config> {
    let files = llama(keys);
    let config = Config::load(&files)?;
    open_checkpoint(&files, &config)?;
    Ok(config)
}

#[test]
fn keys_that_change_the_logits_are_refused_by_name() {
    for (name, other, neutral) in [
        ("attention.scale", 0.5, (HIDDEN as f32 / 2.0).sqrt().recip()),
        ("attention.clamp_kqv", 8.0, 0.0),
        ("attention.max_alibi_bias", 8.0, 0.0),
        ("attention.sliding_window", 256.0, 512.0),
        ("attn_logit_softcapping", 50.0, 0.0),
        ("embedding_scale", 12.0, 1.0),
        ("expert_count", 8.0, 0.0),
        ("final_logit_softcapping", 30.0, 0.0),
        ("logit_scale", 0.0625, 1.0),
        ("residual_scale", 0.22, 1.0),
        ("rope.scaling.alpha", 1000.0, 0.0),
        ("rope.scaling.yarn_attn_factor", 2.0, 1.0),
        ("rope.scaling.yarn_beta_fast", 8.0, 32.0),
        ("rope.scaling.yarn_beta_slow", 4.0, 1.0),
        ("rope.scaling.yarn_ext_factor", 0.5, -1.0),
        ("rope.scaling.yarn_log_multiplier", 0.1, 0.0),
    ] {
        let key = format!("llama.{name}");
        assert_refused(load(|header| header.float(&key, other)), &[&format!("m.gguf: {key} is ")]);
        assert!(load(|header| header.float(&key, neutral)).is_ok(), "{key}");
    }
    assert_refused(
        load(|header| header.flag("llama.attention.causal", false)),
        &["attention.causal is false"],
    );
    assert_refused(load(|header| header.text("general.type", "adapter")), &["general.type is \"adapter\""]);
    assert_refused(
        load(|header| header.text("llama.hidden_activation", "gelu")),
        &["llama.hidden_activation is \"gelu\""],
    );
    assert_refused(
        load(|header| header.unsigned("prism.hadamard.version", 1)),
        &["prism.hadamard.version is"],
    );
    assert_refused(load(|header| header.float("acme.weight_scale", 2.0)), &["acme.weight_scale is"]);
}

#[test]
fn unknown_keys_are_refused_in_the_architecture_and_noted_elsewhere() {
    assert_refused(
        load(|header| header.unsigned("llama.new_trick", 1)),
        &["m.gguf: llama.new_trick is a key with an unknown meaning"],
    );
    let files = llama(|header| {
        header.unsigned("acme.build", 7);
        header.text("general.made_by", "someone");
        header.text("quantize.imatrix.file", "x");
    });
    for _ in 0..2 {
        Config::load(&files).unwrap();
        let warnings = files.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].ends_with("keys that Tercet does not know are ignored: acme.build"),
            "{warnings:?}"
        );
    }
}

/// llama.cpp's rules: see `load_hparams` in its `llama-model.cpp`, and `llama-context.cpp`.
#[test]
fn rope_is_stretched_as_in_llama_cpp() {
    let scaling = |kind: Option<&str>, numbers: &[(&str, f32)]| {
        let config = load(|header| {
            kind.iter().for_each(|kind| header.text("llama.rope.scaling.type", kind));
            numbers.iter().for_each(|(name, value)| header.float(&format!("llama.rope.{name}"), *value));
        });
        config.map(|config| config.rope.scaling)
    };
    let linear = |factor| RopeScaling::Linear { factor };
    let flat = |attention_factor| RopeScaling::LongRope { factors: vec![1.0; 16].into(), attention_factor };
    let (factor, attention) = ("scaling.factor", "scaling.attn_factor");
    assert_eq!(scaling(None, &[]).unwrap(), RopeScaling::None);
    assert_eq!(scaling(None, &[(factor, 4.0)]).unwrap(), linear(4.0));
    assert_eq!(scaling(None, &[("scale_linear", 4.0)]).unwrap(), linear(4.0));
    assert_eq!(scaling(Some("none"), &[(factor, 4.0)]).unwrap(), RopeScaling::None);
    assert_eq!(scaling(Some("linear"), &[(attention, 2.0)]).unwrap(), flat(2.0));
    assert_eq!(scaling(Some("none"), &[(attention, 2.0), (factor, 9.0)]).unwrap(), flat(2.0));
    let yarn = |attention_factor| RopeScaling::Yarn {
        factor: 4.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_positions: 512.0,
        attention_factor,
    };
    assert_eq!(scaling(Some("yarn"), &[(factor, 4.0)]).unwrap(), yarn(1.138_629_4));
    assert_eq!(scaling(Some("yarn"), &[(factor, 4.0), (attention, 2.0)]).unwrap(), yarn(2.277_258_9));
    assert_refused(scaling(Some("longrope"), &[(factor, 4.0)]), &["rope.scaling.type is longrope"]);
}

/// Adds one tensor to the usual ones, and gives it another name of the same length.
fn load_with_tensor(written: &str, name: &str, byte: u8) -> Result<Config> {
    let mut all = tensors();
    all.push((written.to_owned(), vec![HIDDEN], TensorType::F32));
    let written = names::gguf_name(written).unwrap();
    let mut bytes = file(usual_keys, &all, byte);
    let at = bytes.windows(written.len()).position(|window| window == written.as_bytes()).unwrap();
    bytes[at..at + written.len()].copy_from_slice(name.as_bytes());
    let files = ModelFiles::in_gguf("m".into(), GgufFile::open(bytes.into(), "m.gguf").unwrap());
    let config = Config::load(&files)?;
    open_checkpoint(&files, &config)?;
    Ok(config)
}

#[test]
fn tensors_without_a_place_are_refused_by_name() {
    let refused = |name: &str| format!("m.gguf: {name} is a tensor that this architecture does not use");
    let (sub_norm, later) =
        ("model.layers.0.self_attn.attn_sub_norm.weight", "model.layers.1.input_layernorm.weight");
    for (written, name) in [
        (sub_norm, "blk.0.attn_sub_norm.weight"),
        (later, "blk.1.attn_norm.weight"),
        (later, "blk.0.attn_output.bias"),
        (later, "rope_factors_lo.weight"),
    ] {
        assert_refused(load_with_tensor(written, name, 0x3F), &[&refused(name)]);
    }
    assert!(load_with_tensor(later, "blk.0.attn_output.bias", 0).is_ok(), "biases of zeros change nothing");
}

/// Writes the parts of a model to `dir`. The last part has the last `tail` tensors.
fn write_parts(dir: &Path, tail: usize, count: u32, total: u32) {
    let all = tensors();
    let (first, last) = all.split_at(all.len() - tail);
    for (number, tensors) in [first, last].into_iter().enumerate() {
        let keys = |header: &mut GgufHeader| {
            if number == 0 {
                usual_keys(header);
            }
            header.unsigned("split.no", number as u32);
            header.unsigned("split.count", count);
            header.unsigned("split.tensors.count", total);
        };
        let name = format!("m-0000{}-of-00002.gguf", number + 1);
        std::fs::write(dir.join(name), file(keys, tensors, number as u8)).unwrap();
    }
}

#[test]
fn a_model_in_parts_is_read_whole_from_any_part() {
    let dir = std::env::temp_dir().join(format!("tercet-parts-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let paths = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"].map(|name| dir.join(name));
    let total = tensors().len() as u32;

    write_parts(&dir, 8, 2, total);
    for path in &paths {
        let files = ModelFiles::open(path).unwrap();
        assert_eq!((files.name(), files.paths().unwrap()), ("m", Some(paths.to_vec())));
        let config = Config::load(&files).unwrap();
        assert!(!config.tie_word_embeddings);
        let checkpoint = open_checkpoint(&files, &config).unwrap();
        // The bytes of a tensor say in which part it is.
        let byte = |name: &str| checkpoint.vector(name, HIDDEN).unwrap()[0].to_le_bytes()[0];
        assert_eq!(byte("model.norm.weight"), 0);
        assert_eq!(byte("model.layers.0.post_attention_layernorm.weight"), 1);
    }

    let message = || ModelFiles::open(&paths[0]).unwrap_err().to_string();
    write_parts(&dir, 8, 2, total + 1);
    assert!(
        message().contains("split.tensors.count: the model has 13 tensors, 12 are here"),
        "{}",
        message()
    );
    write_parts(&dir, 8, 3, total);
    assert!(message().contains("name it like NAME-00001-of-00003.gguf"), "{}", message());
    write_parts(&dir, 8, 2, total);
    std::fs::copy(&paths[0], &paths[1]).unwrap();
    assert!(message().contains("m-00002-of-00002.gguf: split.no: the file says that it is part 1 of 2"));
    std::fs::remove_file(&paths[1]).unwrap();
    assert!(message().contains("m-00002-of-00002.gguf: no such file; download all 2 parts"), "{}", message());

    // The bytes of one part alone are not taken for a model whose head is tied.
    let bytes = std::fs::read(&paths[0]).unwrap();
    let part = ModelFiles::in_gguf("m".into(), GgufFile::open(bytes.into(), "m.gguf").unwrap());
    assert_refused(Config::load(&part), &["split.tensors.count", "download all parts"]);
    std::fs::remove_dir_all(&dir).unwrap();
}
