//! A model's tensors under the names that Hugging Face transformers gives them, whatever file they are in.

use super::transformers::TransformersCheckpoint;
use super::{ModelFiles, StoredFloats, Ternary};
use crate::error::{Error, Result};

/// Where a model's tensors come from. Every method's errors name the file and the tensor.
///
/// Names are those of `LlamaForCausalLM` and, for the norms that other families have besides, of `BitNetForCausalLM`,
/// `Qwen3ForCausalLM` and `BitLinear`.
pub trait Checkpoint: Sync {
    /// The vector `name` of `len` finite elements.
    ///
    /// # Errors
    /// Fails if it is missing, of another shape or type, or not finite.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>>;

    /// The ternary matrix `name`, n × k.
    ///
    /// # Errors
    /// Fails if it is missing, of another shape or type, or holds what is no ternary weight.
    fn ternary(&self, name: &str, n: usize, k: usize) -> Result<Ternary>;

    /// The embedding or head `name`, n × k.
    ///
    /// # Errors
    /// Fails if it is missing, of another shape or type, or not what its type says.
    fn table(&self, name: &str, n: usize, k: usize) -> Result<Table>;

    /// The embedding or head `name`, n × k, as it is stored.
    ///
    /// # Errors
    /// Those of [`Checkpoint::table`]; [`Error::Unsupported`] if it is ternary.
    fn floats(&self, name: &str, n: usize, k: usize) -> Result<StoredFloats> {
        match self.table(name, n, k)? {
            Table::Floats(floats) => Ok(floats),
            Table::Ternary(_) => Err(Error::unsupported("the model", name, "ternary", "floats")),
        }
    }
}

/// A matrix with a row for every token, which a model may keep in floats or make ternary.
#[derive(Clone, Debug)]
pub enum Table {
    /// Floats as they are stored.
    Floats(StoredFloats),
    /// Trits and scales.
    Ternary(Ternary),
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
