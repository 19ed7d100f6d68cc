//! GGUF, versions 2 and 3: metadata and tensors in one file.
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod check;
mod config;
mod cursor;
mod foreign;
mod interleave;
pub(crate) mod kept;
mod known;
mod merges;
mod metadata;
mod names;
mod order;
mod pre;
mod read;
mod split;
mod tensor;
mod ternary;
#[cfg(test)]
mod tests;
mod tokenizer;
mod types;
mod vocabulary;
mod write;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::Bytes;
use crate::error::{Error, Result};
use crate::warnings::Warnings;
use cursor::Cursor;
use kept::Kept;
use metadata::Metadata;
use order::Order;
use tensor::Tensor;

pub(crate) use names::ROPE_FACTORS;
pub(crate) use pre::{QWEN2, recognize_pre};
pub use types::TensorType;
pub(crate) use vocabulary::Kind;
pub use write::GgufHeader;

const DAMAGED: &str = "the file is damaged or incomplete: download it again";

const MAGIC: [u8; 4] = *b"GGUF";

/// A GGUF file whose header is consistent with its length. Texts, lists and tensors lie inside the
/// file, and tensors do not overlap.
///
/// # Examples
/// ```
/// use tercet_formats::{Bytes, Checkpoint, GgufFile, GgufHeader, TensorType};
///
/// let mut header = GgufHeader::default();
/// header.text("general.architecture", "llama");
/// assert!(header.tensor("model.norm.weight", &[2], TensorType::F32));
/// let mut bytes = header.bytes();
/// bytes.extend([1f32, 2.0].map(f32::to_le_bytes).concat());
///
/// let file = GgufFile::open(Bytes::from(bytes), "model.gguf")?;
/// assert!(file.names().eq(["output_norm.weight"]));
/// assert_eq!(file.vector("model.norm.weight", 2)?, [1.0, 2.0]);
/// # Ok::<(), tercet_formats::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GgufFile {
    /// The file, or every part of a split one, in order.
    parts: Vec<Part>,
    /// The metadata of the first part.
    metadata: Metadata,
    tensors: BTreeMap<String, Tensor>,
    /// The order of I2_S, once a tensor of this type is read.
    order: OnceLock<Order>,
    /// What a user of the file should know. The model's files share them.
    pub(super) warnings: Warnings,
    /// The originals that a converter kept.
    kept: Kept,
}

/// One file, with its name in messages.
#[derive(Clone, Debug)]
struct Part {
    bytes: Bytes,
    label: String,
}

impl GgufFile {
    /// Checks the header of `bytes`. Messages call the file `label`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the file is truncated or contradicts itself, [`Error::Unsupported`]
    /// if it has another version or byte order.
    pub fn open(bytes: Bytes, label: impl Into<String>) -> Result<Self> {
        let label = label.into();
        let mut cursor = Cursor::new(&bytes, &label);
        if cursor.array("magic number")? != MAGIC {
            return Err(cursor.malformed("magic number", "is not GGUF"));
        }
        check_version(cursor.u32("version")?, &label)?;
        // A description holds at least a name's length, the number of dimensions, a type and an
        // offset.
        let tensors = cursor.count(8 + 4 + 4 + 8, "the number of tensors")?;
        // A value holds at least a key's length, a type and a byte.
        let values = cursor.count(8 + 4 + 1, "the number of metadata values")?;
        let metadata = Metadata::read(&mut cursor, values, &bytes, &label)?;
        let tensors = tensor::read_all(&mut cursor, tensors, alignment(&metadata)?)?;
        let parts = vec![Part { bytes: bytes.clone(), label }];
        let (warnings, kept) = (Warnings::default(), Kept::default());
        Ok(GgufFile { parts, metadata, tensors, order: OnceLock::new(), warnings, kept })
    }

    /// Returns the file as programs other than Tercet read it.
    pub(super) fn without_kept(self) -> Self {
        GgufFile { kept: Kept::ignored(), ..self }
    }

    /// Returns the file's name in messages; of several parts, the first one's.
    pub fn label(&self) -> &str {
        &self.parts[0].label
    }

    /// Returns the names of all parts.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.label.as_str())
    }

    /// Returns true unless the file's path leads to another file by now.
    pub(super) fn is_current(&self) -> bool {
        self.parts.iter().all(|part| part.bytes.is_current())
    }

    /// Returns the contents that `file`, a JSON file, would have in a Hugging Face repository of
    /// this model.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Unsupported`] name the metadata's key.
    pub(super) fn json(&self, file: &str) -> Result<Option<serde_json::Value>> {
        match file {
            super::CONFIG => self.config_json().map(Some),
            "tokenizer.json" => self.tokenizer_json(),
            "tokenizer_config.json" => self.tokenizer_config_json(),
            "generation_config.json" => self.generation_config_json(),
            _ => Ok(None),
        }
    }

    /// Returns `general.architecture`, which also starts the keys of the model's own metadata.
    pub(super) fn architecture(&self) -> Result<&str> {
        const KEY: &str = "general.architecture";
        self.metadata.text(KEY)?.ok_or_else(|| self.metadata.malformed(KEY, "is missing"))
    }

    /// Returns the name of the type that holds the most values.
    pub(super) fn main_type(&self) -> Option<&'static str> {
        let mut values = BTreeMap::new();
        for tensor in self.tensors.values() {
            let name = tensor.kind.ok().map(TensorType::name);
            *values.entry(name).or_insert(0) += tensor.shape.iter().product::<usize>();
        }
        values.into_iter().max_by_key(|(_, count)| *count)?.0
    }

    /// Returns the tensors' names in GGUF, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

/// Returns the bytes of a ternary matrix of `n` rows in the type `kind`. If `heads` is given, the
/// rows of each of these heads are interleaved. I2_S takes one scale, the other types take one for
/// each block.
///
/// # Panics
/// If `trits` is not a whole number of blocks, if scales are missing, or if the type is not
/// ternary.
pub(crate) fn encode_ternary(
    kind: TensorType,
    trits: &[i8],
    n: usize,
    scales: &[f32],
    heads: Option<usize>,
) -> Vec<u8> {
    let ordered = heads.and_then(|heads| interleave::apply(trits, n, heads));
    let scales_ordered =
        heads.filter(|_| scales.len() > 1).and_then(|heads| interleave::apply(scales, n, heads));
    let scales = scales_ordered.as_deref().unwrap_or(scales);
    ternary::encode(kind, ordered.as_deref().unwrap_or(trits), |group| scales[group])
}

fn check_version(version: u32, label: &str) -> Result<()> {
    const SUPPORTED: &str = "version 2 or 3, little-endian";
    match version {
        2 | 3 => Ok(()),
        _ if (1..=3).contains(&version.swap_bytes()) => {
            Err(Error::unsupported(label, "the byte order", "big-endian", SUPPORTED))
        }
        other => Err(Error::unsupported(label, "the version", other.to_string(), SUPPORTED)),
    }
}

/// Returns the alignment of tensors' offsets.
fn alignment(metadata: &Metadata) -> Result<usize> {
    const KEY: &str = "general.alignment";
    const LARGEST: u64 = 1 << 20;
    match metadata.unsigned(KEY)?.unwrap_or(32) {
        alignment if alignment.is_power_of_two() && alignment <= LARGEST => Ok(alignment as usize),
        other => Err(metadata.malformed(KEY, format!("{other} is not a power of two up to {LARGEST}"))),
    }
}
