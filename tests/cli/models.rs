//! Copies of the tiny model with one thing broken.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::harness::{Scratch, TINY};

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

    /// Replaces the first `from` in a text file.
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
