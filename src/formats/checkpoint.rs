//! A model's tensors under the names that Hugging Face transformers gives them, whatever file they are in.

use super::transformers::TransformersCheckpoint;
use super::{ModelFiles, StoredFloats};
use crate::error::{Error, Result};

/// Where a model's tensors come from. Every method's errors name the file and the tensor.
pub trait Checkpoint: Sync {
    /// The vector `name` of `len` finite elements.
    ///
    /// # Errors
    /// Fails if it is missing, of another shape or type, or not finite.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>>;

    /// The floating-point matrix `name`, n × k, as it is stored.
    ///
    /// # Errors
    /// Fails if it is missing or of another shape or type.
    fn floats(&self, name: &str, n: usize, k: usize) -> Result<StoredFloats>;

    /// The ternary matrix `name`, n × k.
    ///
    /// # Errors
    /// Fails if it is missing, of another shape or type, or holds what is no ternary weight.
    fn ternary(&self, name: &str, n: usize, k: usize) -> Result<Ternary>;
}

/// A ternary matrix: every weight is its trit times its scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Ternary {
    /// -1, 0 and 1, row-major.
    pub trits: Vec<i8>,
    /// What they are multiplied with.
    pub scales: Scales,
}

/// The scales of a ternary matrix; finite, and not negative.
#[derive(Clone, Debug, PartialEq)]
pub enum Scales {
    /// One of all weights.
    Tensor(f32),
    /// One of each `size` consecutive weights of a row: n × ⌈k / size⌉, row-major.
    Groups {
        /// Weights that share a scale.
        size: usize,
        /// The scales.
        values: Vec<f32>,
    },
}

impl Scales {
    /// The scale of the whole matrix `name`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there are several.
    pub(crate) fn whole(&self, name: &str) -> Result<f32> {
        match *self {
            Scales::Tensor(scale) => Ok(scale),
            Scales::Groups { size, .. } => {
                let found = format!("scaled in groups of {size}");
                Err(Error::unsupported("the model", name, found, "one scale for the whole matrix"))
            }
        }
    }
}

/// Opens the tensors of a model.
///
/// # Errors
/// Fails if a file is missing, damaged or of an unsupported kind.
pub fn open_checkpoint(files: &ModelFiles) -> Result<Box<dyn Checkpoint>> {
    match files.gguf() {
        Some(file) => Ok(Box::new(file.clone())),
        None => Ok(Box::new(TransformersCheckpoint::open(files)?)),
    }
}
