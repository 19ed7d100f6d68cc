//! Takes every model with golden outputs through every form of file that can hold it. Its logits stay as close to
//! those of transformers as in the form in which it came.

mod common;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Reference, Scratch};
use half::bf16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tercet::formats::config::Role;
use tercet::formats::{Config, Format, ModelFiles, Scales, TensorType, convert, open_checkpoint};

/// A model, and the forms that can hold it besides its own.
struct Case {
    name: &'static str,
    /// Types of master weights that give its scales exactly.
    masters: &'static [Dtype],
    /// Can be packed as transformers packs.
    packed: bool,
    /// Types of GGUF for its ternary matrices.
    gguf: &'static [TensorType],
}

/// The types of GGUF that can be written.
const WRITTEN: [TensorType; 4] = [TensorType::I2S, TensorType::Tq1_0, TensorType::Tq2_0, TensorType::Q2_0];

const BOTH: &[Dtype] = &[Dtype::BF16, Dtype::F32];

const CASES: [Case; 10] = [
    Case { name: "bitnet-tiny", masters: BOTH, packed: true, gguf: &WRITTEN },
    // A scale that divides has no inverse in bf16.
    Case { name: "llama-tiny", masters: &[Dtype::F32], packed: true, gguf: &[TensorType::I2S] },
    Case { name: "falcon3-tiny", masters: BOTH, packed: true, gguf: &[TensorType::I2S] },
    Case { name: "master-tiny", masters: &[Dtype::F32], packed: true, gguf: &[TensorType::I2S] },
    // GGUF has no norms before ternary layers, and `convert` says so.
    Case { name: "rms-norm-tiny", masters: &[Dtype::F32], packed: false, gguf: &[] },
    Case { name: "qwen3-tiny", masters: &[Dtype::F32], packed: true, gguf: &[TensorType::I2S] },
    // `convert` refuses the family.
    Case { name: "gemma3-tiny", masters: BOTH, packed: false, gguf: &[] },
    // GGUF has no block that its matrices of 100 columns are a multiple of.
    Case { name: "one-bit-llm-tiny", masters: &[Dtype::F32], packed: true, gguf: &[] },
    Case { name: "one-bit-llm-64-tiny", masters: &[Dtype::F32], packed: true, gguf: &[TensorType::I2S] },
    // Every group of columns has a scale.
    Case { name: "bonsai-tiny", masters: &[], packed: true, gguf: &[TensorType::Q2_0] },
];

#[test]
fn every_form_of_a_model_agrees_with_transformers() {
    for case in CASES {
        let scratch = Scratch::new(case.name);
        let reference = Reference::read(case.name);
        let source = ModelFiles::open(&common::path(&format!("tests/fixtures/{}", case.name))).unwrap();
        let mut forms: Vec<(String, Option<PathBuf>)> = Vec::new();
        for kind in WRITTEN {
            let form = format!("{}.gguf", kind.name());
            let written = written(&source, &scratch.0.join(&form), Format::Gguf(kind));
            assert_eq!(written.is_some(), case.gguf.contains(&kind), "{}: {form}", case.name);
            forms.push((form, written));
        }
        let packed = written(&source, &scratch.0.join("packed"), Format::Safetensors);
        assert_eq!(packed.is_some(), case.packed, "{}: packed", case.name);
        forms.push(("packed".to_owned(), packed));
        for &dtype in case.masters {
            let folder = scratch.0.join(format!("masters-{dtype:?}"));
            write_masters(&source, &folder, dtype);
            // Conversion rounds master weights, as loading does.
            let masters = ModelFiles::open(&folder).unwrap();
            for &kind in case.gguf {
                let form = format!("masters-{dtype:?}-{}.gguf", kind.name());
                let converted = written(&masters, &scratch.0.join(&form), Format::Gguf(kind));
                assert!(converted.is_some(), "{}: {form}", case.name);
                forms.push((form, converted));
            }
            forms.push((format!("masters in {dtype:?}"), Some(folder)));
        }
        for (form, path) in forms {
            let Some(path) = path else { continue };
            let files = ModelFiles::open(&path).unwrap();
            let model = tercet::Model::load(&files, &common::full_precision_runtime()).unwrap();
            reference.assert_logits(&model, &form);
        }
    }
}

/// Converts `source`. Returns none if the format cannot hold it.
fn written(source: &ModelFiles, out: &Path, format: Format) -> Option<PathBuf> {
    match convert(source, out, format, false) {
        Ok(_) => Some(out.to_owned()),
        Err(tercet::formats::Error::Unsupported { .. }) => None,
        Err(error) => panic!("{}: {error}", out.display()),
    }
}

/// Name, type, shape and bytes of a tensor.
type Tensor<'a> = (String, Dtype, Vec<usize>, Cow<'a, [u8]>);

/// Writes the model of `source` as it could have been before its weights were rounded, with the embedding, norms and
/// head unchanged. Its matrices are floats of type `dtype`, which are made ternary as they are read.
fn write_masters(source: &ModelFiles, folder: &Path, dtype: Dtype) {
    let config = Config::load(source).unwrap();
    let checkpoint = open_checkpoint(source, &config).unwrap();
    let mut masters = HashMap::new();
    for tensor in config.tensors() {
        if let Role::Ternary(n, k) = tensor.role {
            let matrix = checkpoint.ternary(&tensor.name, n, k).unwrap();
            let Scales::Tensor(scale) = matrix.scales else { panic!("{} has many scales", tensor.name) };
            masters.insert(tensor.name, (master(&matrix.trits, scale), [n, k]));
        }
    }
    fs::create_dir(folder).unwrap();
    let is_shard = |path: &&PathBuf| {
        path.file_name().unwrap().to_string_lossy().starts_with("model-")
            || path.ends_with("model.safetensors")
    };
    let paths = source.paths().unwrap().unwrap();
    let shards: Vec<Vec<u8>> = paths.iter().filter(is_shard).map(|path| fs::read(path).unwrap()).collect();
    let shards: Vec<SafeTensors<'_>> =
        shards.iter().map(|bytes| SafeTensors::deserialize(bytes).unwrap()).collect();
    let mut tensors: Vec<Tensor<'_>> = Vec::new();
    for (name, tensor) in shards.iter().flat_map(SafeTensors::iter) {
        match masters.get(name) {
            Some((weights, shape)) => {
                tensors.push((name.to_owned(), dtype, shape.to_vec(), encode(weights, dtype).into()));
            }
            None if name.ends_with("_scale") => {}
            None => {
                tensors.push((name.to_owned(), tensor.dtype(), tensor.shape().to_vec(), tensor.data().into()))
            }
        }
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&source.get("config.json").unwrap()).unwrap();
    // 1bitLLM's models hold master weights without saying so.
    if config["architectures"][0] != "BitnetForCausalLM" {
        let online = [("linear_class", "autobitlinear"), ("quantization_mode", "online")];
        online.iter().for_each(|(field, value)| config["quantization_config"][field] = json!(value));
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// Returns weights that round to `trits`, with a mean magnitude of `scale`.
///
/// A quarter of the scale rounds to 0, and once or twice the scale to 1. All are exact in the type of the scale, and
/// their numbers make the mean exact.
fn master(trits: &[i8], scale: f32) -> Vec<f32> {
    let zeros = trits.iter().filter(|trit| **trit == 0).count();
    let mut quarters = zeros / 8 * 4;
    let mut twos = zeros - quarters / 4;
    let take = |left: &mut usize, some: f32, other: f32| match left.checked_sub(1) {
        Some(rest) => {
            *left = rest;
            some
        }
        None => other,
    };
    let weights = trits.iter().map(|&trit| match trit {
        0 => scale * take(&mut quarters, 0.25, 0.0),
        trit => scale * f32::from(trit) * take(&mut twos, 2.0, 1.0),
    });
    let weights = weights.collect();
    assert_eq!((quarters, twos), (0, 0), "too many zeros");
    weights
}

fn encode(weights: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::BF16 => weights.iter().flat_map(|weight| bf16::from_f32(*weight).to_le_bytes()).collect(),
        _ => weights.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
    }
}
