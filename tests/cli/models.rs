//! Models for the tests: copies of the tiny model with one fault, and a wide model.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value};

use crate::harness::{Scratch, TINY, parse};

pub(crate) const FILES: [&str; 5] =
    ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

pub(crate) struct Broken(Scratch);

impl Broken {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        for file in FILES {
            fs::copy(Path::new(TINY).join(file), scratch.path().join(file)).unwrap();
        }
        Broken(scratch)
    }

    pub(crate) fn dir(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn without(self, file: &str) -> Self {
        fs::remove_file(self.0.path().join(file)).unwrap();
        self
    }

    pub(crate) fn with(self, file: &str, contents: &[u8]) -> Self {
        fs::write(self.0.path().join(file), contents).unwrap();
        self
    }

    /// Replaces the first `from` in a text file by `to`.
    pub(crate) fn edited(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.0.path().join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        self.with(file, text.replacen(from, to, 1).as_bytes())
    }

    /// Changes the bytes of the tensor file.
    pub(crate) fn tensors(self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = fs::read(self.0.path().join("model.safetensors")).unwrap();
        change(&mut bytes);
        self.with("model.safetensors", &bytes)
    }

    /// Changes the header of the tensor file.
    pub(crate) fn header(self, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        self.tensors(|bytes| {
            let (mut header, data) = split(bytes);
            change(&mut header);
            let header = serde_json::to_vec(&header).unwrap();
            *bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        })
    }

    /// Overwrites the bytes of one tensor.
    pub(crate) fn tensor(self, name: &str, value: &[u8]) -> Self {
        self.tensors(|bytes| {
            let (header, data) = split(bytes);
            let start = header[name]["data_offsets"][0].as_u64().unwrap() as usize;
            let start = bytes.len() - data.len() + start;
            bytes[start..start + value.len()].copy_from_slice(value);
        })
    }
}

fn split(bytes: &[u8]) -> (Map<String, Value>, Vec<u8>) {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).unwrap(), data.to_vec())
}

/// Writes a model to `scratch`: the tokenizer and vocabulary of the tiny model, and one layer of
/// 2048 × 2048 matrices. Returns its directory.
pub(crate) fn wide_model(scratch: &Scratch) -> String {
    const WIDTH: usize = 2048;
    let dir = scratch.path();
    for file in ["generation_config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(Path::new(TINY).join(file), dir.join(file)).unwrap();
    }
    let mut config = parse(&fs::read_to_string(Path::new(TINY).join("config.json")).unwrap());
    for (field, value) in [
        ("hidden_size", WIDTH),
        ("intermediate_size", WIDTH),
        ("num_attention_heads", WIDTH / 64),
        ("num_key_value_heads", WIDTH / 64),
        ("num_hidden_layers", 1),
    ] {
        config[field] = value.into();
    }
    fs::write(dir.join("config.json"), config.to_string()).unwrap();

    // 1.0 in bf16, and bytes with four valid codes each.
    let float = |count: usize| [0x80, 0x3F].repeat(count);
    let codes: Vec<u8> =
        (0..WIDTH * WIDTH / 4).map(|i| [0b01_00_10_01, 0b10_01_01_00, 0b00_10_01_01][i % 3]).collect();
    // Rows of 0.25 and of 1.0.
    let embedding = (0..320).flat_map(|row| [0x80, 0x3E + row as u8 % 2].repeat(WIDTH)).collect();
    let mut tensors =
        vec![("model.embed_tokens.weight".to_owned(), Dtype::BF16, vec![320, WIDTH], embedding)];
    tensors.push(("model.norm.weight".to_owned(), Dtype::BF16, vec![WIDTH], float(WIDTH)));
    let layer = |part: &str| format!("model.layers.0.{part}");
    for norm in ["input_layernorm", "post_attention_layernorm", "self_attn.attn_sub_norm", "mlp.ffn_sub_norm"]
    {
        tensors.push((layer(&format!("{norm}.weight")), Dtype::BF16, vec![WIDTH], float(WIDTH)));
    }
    for matrix in
        ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"]
    {
        let name = layer(&format!("{matrix}_proj.weight"));
        tensors.push((format!("{name}_scale"), Dtype::BF16, vec![1], float(1)));
        tensors.push((name, Dtype::U8, vec![WIDTH / 4, WIDTH], codes.clone()));
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    dir.display().to_string()
}
