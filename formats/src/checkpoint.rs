//! A model's tensors by the names of Hugging Face transformers, whatever file holds them.

use super::transformers::TransformersCheckpoint;
use super::{Config, ModelFiles, StoredFloats, Ternary};
use crate::error::{Error, Result};

/// A source of a model's tensors. Errors of every method name the file and the tensor.
///
/// [`Config::tensors`](crate::Config::tensors) lists the names. They are the names of
/// `LlamaForCausalLM`. Norms that Llama does not have are named as in `BitNetForCausalLM`,
/// `Qwen3ForCausalLM` and `BitLinear`.
pub trait Checkpoint: Sync {
    /// Reads the vector `name` of `len` finite elements.
    ///
    /// # Errors
    /// Fails if it is missing, has another shape or type, or is not finite.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>>;

    /// Reads the ternary matrix `name`, n × k.
    ///
    /// # Errors
    /// Fails if it is missing, has another shape or type, or holds a weight that is not ternary.
    fn ternary(&self, name: &str, n: usize, k: usize) -> Result<Ternary>;

    /// Reads the embedding or head `name`, n × k.
    ///
    /// # Errors
    /// Fails if it is missing, has another shape or type, or contradicts its type.
    fn table(&self, name: &str, n: usize, k: usize) -> Result<Table>;

    /// Requires that the files are as they were when they were opened. Otherwise tensors may hold zeros or other bytes.
    ///
    /// # Errors
    /// Those of [`Bytes::check`](crate::Bytes::check).
    fn check(&self) -> Result<()>;

    /// Reads the embedding or head `name`, n × k, in its stored type.
    ///
    /// # Errors
    /// The errors of [`Checkpoint::table`], and [`Error::Unsupported`] if it is ternary.
    fn floats(&self, name: &str, n: usize, k: usize) -> Result<StoredFloats> {
        match self.table(name, n, k)? {
            Table::Floats(floats) => Ok(floats),
            Table::Ternary(_) => Err(Error::unsupported("the model", name, "ternary", "floats")),
        }
    }
}

/// A matrix with one row for each token. A model stores it as floats or as ternary weights.
#[derive(Clone, Debug)]
pub enum Table {
    /// Floats in their stored type.
    Floats(StoredFloats),
    /// Trits and scales.
    Ternary(Ternary),
}

impl Table {
    /// Returns the matrix `floats` with rows of `k`. Floats that are ternary already become ternary.
    pub(super) fn of(floats: StoredFloats, k: usize) -> Self {
        let ternary = Ternary::exact(floats.get(), k);
        floats.release();
        ternary.map_or(Table::Floats(floats), Table::Ternary)
    }
}

/// Opens the tensors of the model that `config` describes.
///
/// # Errors
/// Fails if a file is missing, damaged or of an unsupported kind, or if it has tensors that the model
/// does not use, such as biases.
pub fn open_checkpoint(files: &ModelFiles, config: &Config) -> Result<Box<dyn Checkpoint>> {
    match files.gguf() {
        Some(file) => {
            file.check_tensors(config)?;
            Ok(Box::new(file.clone()))
        }
        None => Ok(Box::new(TransformersCheckpoint::open(files, config)?)),
    }
}
