//! Safetensors: a JSON header of names, types, shapes and offsets, then the tensors' bytes.
//! Format: <https://huggingface.co/docs/safetensors>.

mod header;
#[cfg(test)]
mod tests;

use std::path::Path;

use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::{Bytes, Floats, ModelFiles, StoredFloats, write_output};
use crate::error::{Error, Result};

const DAMAGED: &str = "the file is damaged or incomplete: download it again";
const OTHER_MODEL: &str = "check that the file belongs to the config.json next to it";

/// A safetensors file whose header is consistent with its length. Tensors lie inside the file and
/// do not overlap.
///
/// # Examples
/// ```
/// use tercet_formats::{Bytes, TensorFile};
///
/// let header = br#"{"gain":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
/// let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
/// bytes.extend(header);
/// bytes.extend([1f32, 2.0].map(f32::to_le_bytes).concat());
///
/// let file = TensorFile::open(Bytes::from(bytes), "model.safetensors")?;
/// assert_eq!(file.names(), ["gain"]);
/// assert_eq!(file.vector("gain", 2)?, [1.0, 2.0]);
/// # Ok::<(), tercet_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorFile {
    bytes: Bytes,
    label: String,
    metadata: Metadata,
    data_start: usize,
}

impl TensorFile {
    /// Opens `file` in `files`. Only the header is read.
    ///
    /// # Errors
    /// The errors of [`ModelFiles::get`] and [`TensorFile::open`].
    pub fn load(files: &ModelFiles, file: &str) -> Result<Self> {
        Self::open(files.get(file)?, files.label(file))
    }

    /// Checks the header of `bytes`. Messages call the file `label`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the file is truncated, or if its header is too large or not valid
    /// JSON. Also if tensors occur twice, overlap, leave gaps, or have another size than their type
    /// and shape require.
    pub fn open(bytes: Bytes, label: impl Into<String>) -> Result<Self> {
        let label = label.into();
        let (data_start, metadata) = header::read(&bytes, &label)?;
        Ok(TensorFile { bytes, label, metadata, data_start })
    }

    /// Returns the names of all tensors, in the order of their bytes.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Returns true if there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// Returns the type of the tensor `name`, if there is one.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.metadata.info(name).map(|info| info.dtype)
    }

    /// Returns the bytes of the u8 tensor `name`, row-major.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is missing or has another shape, [`Error::Unsupported`] if it is
    /// not u8.
    pub fn u8(&self, name: &str, shape: &[usize]) -> Result<&[u8]> {
        let (info, data) = self.tensor(name, shape)?;
        match info.dtype {
            Dtype::U8 => Ok(data),
            other => Err(self.wrong_type(name, other, "U8 (four packed ternary codes in a byte)")),
        }
    }

    /// Returns the bf16, f16 or f32 tensor `name`, row-major, in its stored type.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is missing or has another shape, [`Error::Unsupported`] if it has
    /// another type.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats<'_>> {
        let (info, data) = self.tensor(name, shape)?;
        match info.dtype {
            Dtype::BF16 => Ok(Floats::Bf16(data)),
            Dtype::F16 => Ok(Floats::F16(data)),
            Dtype::F32 => Ok(Floats::F32(data)),
            other => Err(self.wrong_type(name, other, "BF16, F16 or F32")),
        }
    }

    /// Does the same as [`TensorFile::floats`], but shares the file's bytes instead of borrowing
    /// them.
    ///
    /// # Errors
    /// The errors of [`TensorFile::floats`].
    pub fn stored_floats(&self, name: &str, shape: &[usize]) -> Result<StoredFloats> {
        let floats = self.floats(name, shape)?;
        let (info, _) = self.tensor(name, shape)?;
        let (start, end) = info.data_offsets;
        Ok(StoredFloats::new(
            self.bytes.clone(),
            self.data_start + start..self.data_start + end,
            floats.kind(),
        ))
    }

    /// Takes the pages of the tensor `name` out of memory until the next read.
    pub(super) fn release(&self, name: &str) {
        if let Some(info) = self.metadata.info(name) {
            let (start, end) = info.data_offsets;
            self.bytes.release(self.data_start + start..self.data_start + end);
        }
    }

    /// Requires that the file is as it was when it was opened.
    ///
    /// # Errors
    /// Those of [`Bytes::check`].
    pub fn check(&self) -> Result<()> {
        self.bytes.check()
    }

    /// Returns the file's name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the bf16, f16 or f32 vector `name` of `len` finite elements.
    ///
    /// # Errors
    /// The errors of [`TensorFile::floats`], and [`Error::Malformed`] if an element is NaN or
    /// infinite.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let values = self.floats(name, &[len])?.to_vec();
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(i) => Err(self.malformed(name, format!("element {i} is {}", values[i]), DAMAGED)),
        }
    }

    /// Returns the scale of a ternary matrix: a bf16, f16 or f32 tensor of one element, finite and
    /// positive.
    ///
    /// # Errors
    /// The errors of [`TensorFile::floats`], and [`Error::Malformed`] if the value cannot be a
    /// scale.
    pub fn scale(&self, name: &str) -> Result<f32> {
        let scalar = self.metadata.info(name).is_some_and(|info| info.shape.is_empty());
        let value = self.floats(name, if scalar { &[] } else { &[1] })?.get(0);
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(self.malformed(name, format!("the scale is {value}, not a positive number"), DAMAGED))
        }
    }

    /// Returns true if every element of the float tensor `name` is 0.
    ///
    /// # Errors
    /// The errors of [`TensorFile::floats`].
    pub(super) fn is_zero(&self, name: &str) -> Result<bool> {
        let shape = self.metadata.info(name).map_or(&[][..], |info| &info.shape);
        Ok(self.floats(name, shape)?.to_vec().iter().all(|element| *element == 0.0))
    }

    /// Returns true if the tensor `name` has the same shape and elements as the tensor `other_name` of
    /// `other`.
    pub(super) fn equals(&self, name: &str, other: &TensorFile, other_name: &str) -> bool {
        let find = |file: &TensorFile, name: &str| file.metadata.info(name).cloned();
        let (Some(info), Some(other_info)) = (find(self, name), find(other, other_name)) else {
            return false;
        };
        let (Ok((_, a)), Ok((_, b))) =
            (self.tensor(name, &info.shape), other.tensor(other_name, &other_info.shape))
        else {
            return false;
        };
        if info.dtype == other_info.dtype {
            return info.shape == other_info.shape && a == b;
        }
        let (Ok(a), Ok(b)) = (self.floats(name, &info.shape), other.floats(other_name, &other_info.shape))
        else {
            return false;
        };
        info.shape == other_info.shape && (0..a.len()).all(|i| a.get(i) == b.get(i))
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

/// Writes a safetensors file with one f32 tensor, `name`, to `path`. `values` has the shape
/// `shape`, row-major, as [`write_output`] does.
///
/// # Errors
/// [`Error::Io`] if it cannot be written, [`Error::BadArgument`] if `shape` does not fit `values`.
pub fn write_f32(path: &Path, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
    let info =
        TensorInfo { dtype: Dtype::F32, shape: shape.to_vec(), data_offsets: (0, size_of_val(values)) };
    let metadata = Metadata::new(None, vec![(name.to_owned(), info)])
        .map_err(|e| Error::bad_argument(name, e.to_string(), "give as many values as the shape holds"))?;
    write_output(path, |writer| {
        let mut header = serde_json::to_vec(&metadata)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes()))
    })
}
