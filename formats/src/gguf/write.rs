//! Writes GGUF, version 3.

use super::metadata::kind;
use super::{MAGIC, TensorType, names};

/// The beginning of a GGUF file: metadata, and the descriptions of the tensors that follow.
#[derive(Clone, Debug, Default)]
pub struct GgufHeader {
    values: Vec<u8>,
    value_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    /// Start of the next tensor, relative to the first one.
    offset: usize,
}

impl GgufHeader {
    /// Alignment of tensors' offsets. Each tensor is padded to a multiple of it.
    pub const ALIGNMENT: usize = 32;

    /// Adds a text to the metadata.
    pub fn text(&mut self, key: &str, value: &str) {
        self.value(key, kind::TEXT);
        push_text(&mut self.values, value);
    }

    /// Adds a whole number to the metadata.
    pub fn unsigned(&mut self, key: &str, value: u32) {
        self.value(key, kind::U32);
        self.values.extend(value.to_le_bytes());
    }

    /// Adds a number to the metadata.
    pub fn float(&mut self, key: &str, value: f32) {
        self.value(key, kind::F32);
        self.values.extend(value.to_le_bytes());
    }

    /// Adds a truth value to the metadata.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.value(key, kind::FLAG);
        self.values.push(value.into());
    }

    /// Adds a list of texts to the metadata.
    pub fn texts<'a>(&mut self, key: &str, values: impl ExactSizeIterator<Item = &'a str>) {
        self.list(key, kind::TEXT, values.len());
        values.for_each(|value| push_text(&mut self.values, value));
    }

    /// Adds a list of whole numbers to the metadata.
    pub fn signed_list(&mut self, key: &str, values: &[i32]) {
        self.list(key, kind::I32, values.len());
        self.values.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds a list of numbers to the metadata.
    pub fn floats(&mut self, key: &str, values: &[f32]) {
        self.list(key, kind::F32, values.len());
        self.values.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds the tensor that transformers calls `name`. Returns false if GGUF has no such tensor, or
    /// the type cannot have this shape.
    #[must_use]
    pub fn tensor(&mut self, name: &str, shape: &[usize], kind: TensorType) -> bool {
        let (Some(name), Some(size)) = (names::gguf_name(name), kind.bytes(shape)) else { return false };
        push_text(&mut self.tensors, &name);
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        self.tensors.extend(shape.iter().rev().flat_map(|length| (*length as u64).to_le_bytes()));
        self.tensors.extend(kind.code().to_le_bytes());
        self.tensors.extend((self.offset as u64).to_le_bytes());
        self.offset += size.next_multiple_of(Self::ALIGNMENT);
        self.tensor_count += 1;
        true
    }

    /// Returns the bytes of the header. The tensors' bytes follow them.
    pub fn bytes(&self) -> Vec<u8> {
        let counts = [self.tensor_count, self.value_count].map(u64::to_le_bytes).concat();
        let mut bytes = [&MAGIC[..], &3u32.to_le_bytes(), &counts, &self.values, &self.tensors].concat();
        bytes.resize(bytes.len().next_multiple_of(Self::ALIGNMENT), 0);
        bytes
    }

    fn value(&mut self, key: &str, kind: u32) {
        push_text(&mut self.values, key);
        self.values.extend(kind.to_le_bytes());
        self.value_count += 1;
    }

    fn list(&mut self, key: &str, kind: u32, length: usize) {
        self.value(key, kind::LIST);
        self.values.extend(kind.to_le_bytes());
        self.values.extend((length as u64).to_le_bytes());
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}
