//! Safetensors: a JSON header of names, types, shapes and offsets, then the tensors' bytes.
//! Format: <https://huggingface.co/docs/safetensors>.

mod header;
#[cfg(test)]
mod tests;

use std::path::Path;

use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::{Bytes, Floats, ModelFiles, StoredFloats, write_atomically};
use crate::error::{Error, Result};

const DAMAGED: &str = "the file is damaged or incomplete: download it again";
const OTHER_MODEL: &str = "check that the file belongs to the config.json beside it";

/// A safetensors file whose header is consistent with its length: no tensor lies outside the file or over another.
#[derive(Debug)]
pub struct TensorFile {
    bytes: Bytes,
    label: String,
    metadata: Metadata,
    data_start: usize,
}

impl TensorFile {
    /// Reads the tensors of `file` in `files`; only the header is looked at.
    ///
    /// # Errors
    /// Those of [`ModelFiles::get`] and [`TensorFile::open`].
    pub fn load(files: &ModelFiles, file: &str) -> Result<Self> {
        Self::open(files.get(file)?, files.label(file))
    }

    /// Checks the header of `bytes`, which messages call `label`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the file is truncated, its header is too large or no valid JSON, or its tensors are
    /// duplicated, overlap, leave gaps, or do not have the size that their type and shape demand.
    pub fn open(bytes: Bytes, label: impl Into<String>) -> Result<Self> {
        let label = label.into();
        let (data_start, metadata) = header::read(&bytes, &label)?;
        Ok(TensorFile { bytes, label, metadata, data_start })
    }

    /// The names of all tensors, in the order of their bytes.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Whether there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The type of the tensor `name`, if there is one.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.metadata.info(name).map(|info| info.dtype)
    }

    /// The bytes of the u8 tensor `name`, row-major.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is missing or not of this `shape`, [`Error::Unsupported`] if it is not u8.
    pub fn u8(&self, name: &str, shape: &[usize]) -> Result<&[u8]> {
        let (info, data) = self.tensor(name, shape)?;
        match info.dtype {
            Dtype::U8 => Ok(data),
            other => Err(self.wrong_type(name, other, "U8 (four packed ternary codes in a byte)")),
        }
    }

    /// The bf16, f16 or f32 tensor `name`, row-major, as it is stored.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is missing or not of this `shape`, [`Error::Unsupported`] if it is of another type.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats<'_>> {
        let (info, data) = self.tensor(name, shape)?;
        match info.dtype {
            Dtype::BF16 => Ok(Floats::Bf16(data)),
            Dtype::F16 => Ok(Floats::F16(data)),
            Dtype::F32 => Ok(Floats::F32(data)),
            other => Err(self.wrong_type(name, other, "BF16, F16 or F32")),
        }
    }

    /// The same tensor, sharing the file's bytes instead of borrowing them.
    ///
    /// # Errors
    /// Those of [`TensorFile::floats`].
    pub fn stored_floats(&self, name: &str, shape: &[usize]) -> Result<StoredFloats> {
        let floats = self.floats(name, shape)?;
        let (info, _) = self.tensor(name, shape)?;
        let (start, end) = info.data_offsets;
        Ok(StoredFloats::new(self.bytes.clone(), self.data_start + start..self.data_start + end, floats))
    }

    /// Takes the pages of the tensor `name` out of memory until it is read again.
    pub(super) fn release(&self, name: &str) {
        if let Some(info) = self.metadata.info(name) {
            let (start, end) = info.data_offsets;
            self.bytes.release(self.data_start + start..self.data_start + end);
        }
    }

    /// What messages call the file.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The bf16, f16 or f32 vector `name` of `len` finite elements.
    ///
    /// # Errors
    /// Those of [`TensorFile::floats`]; [`Error::Malformed`] if an element is NaN or infinite.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let values = self.floats(name, &[len])?.to_vec();
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(i) => Err(self.malformed(name, format!("element {i} is {}", values[i]), DAMAGED)),
        }
    }

    /// The scale of a ternary matrix: a bf16, f16 or f32 tensor of one element, finite and positive.
    ///
    /// # Errors
    /// Those of [`TensorFile::floats`]; [`Error::Malformed`] if the value cannot be a scale.
    pub fn scale(&self, name: &str) -> Result<f32> {
        let scalar = self.metadata.info(name).is_some_and(|info| info.shape.is_empty());
        let value = self.floats(name, if scalar { &[] } else { &[1] })?.get(0);
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(self.malformed(name, format!("the scale is {value}, not a positive number"), DAMAGED))
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(&TensorInfo, &[u8])> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| self.malformed(name, "the tensor is missing".into(), OTHER_MODEL))?;
        if info.shape != shape {
            let problem = format!("the shape is {:?}, config.json demands {shape:?}", info.shape);
            return Err(self.malformed(name, problem, OTHER_MODEL));
        }
        let (start, end) = info.data_offsets;
        let data = self.bytes.get(self.data_start..).and_then(|data| data.get(start..end));
        let data = data.ok_or_else(|| self.malformed(name, "lies outside the file".into(), DAMAGED))?;
        Ok((info, data))
    }

    fn wrong_type(&self, name: &str, found: Dtype, expected: &str) -> Error {
        Error::unsupported(&self.label, format!("the type of {name}"), format!("{found:?}"), expected)
    }

    fn malformed(&self, name: &str, problem: String, remedy: &str) -> Error {
        Error::malformed(&self.label, name, problem, remedy)
    }
}

/// Writes `values`, row-major of `shape`, as the one f32 tensor `name` of a new safetensors file at `path`.
/// The file appears whole or not at all.
///
/// # Errors
/// [`Error::Io`] if it cannot be written; [`Error::BadArgument`] if `shape` is not that of `values`.
pub fn write_f32(path: &Path, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
    let info =
        TensorInfo { dtype: Dtype::F32, shape: shape.to_vec(), data_offsets: (0, size_of_val(values)) };
    let metadata = Metadata::new(None, vec![(name.to_owned(), info)])
        .map_err(|e| Error::bad_argument(name, e.to_string(), "give as many values as the shape holds"))?;
    write_atomically(path, |writer| {
        let mut header = serde_json::to_vec(&metadata)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes()))
    })
}
