//! Checkpoints in the layout of Hugging Face transformers: `config.json` and one or more
//! safetensors files.

mod encoding;
mod names;
mod shards;

use std::collections::HashSet;

use ::safetensors::Dtype;
use tercet_kernels_ref::ternary::{self, InvalidCode};

use super::checkpoint::{Checkpoint, Table};
use super::{CONFIG, Config, MODEL, ModelFiles, SHARD_INDEX, StoredFloats, Ternary, json};
use crate::config::{Family, HEAD, Role};
use crate::error::{Error, Result};
use crate::unused;

use encoding::Encoding;
use names::Names;
use shards::Shards;
pub use shards::shard_index;

const DAMAGED: &str = "the file is damaged: download it again";

/// Returns true if `model`, with this `config.json`, holds weights for training, which are rounded to
/// trits as it is read.
pub(super) fn holds_master_weights(config: &json::Object<'_>, model: &Config) -> bool {
    matches!(Encoding::of(config, model.linear_norm_eps.is_some()), Ok(Encoding::Master))
}

/// The tensors of a model, in the encoding that its `config.json` states.
#[derive(Debug)]
pub(super) struct TransformersCheckpoint {
    shards: Shards,
    encoding: Encoding,
    names: Names,
    config: String,
    /// True if master weights of the head are rounded too.
    ternary_head: bool,
}

impl TransformersCheckpoint {
    pub(super) fn open(files: &ModelFiles, model: &Config) -> Result<Self> {
        let config = files.label(CONFIG);
        let map = json::parse(&files.get(CONFIG)?, &config)?;
        let root = json::Object::new(&config, &map);
        let encoding = Encoding::of(&root, model.linear_norm_eps.is_some())?;
        let shards = Shards::open(files)?;
        let (names, ternary_head) = (Names::of(&shards, Family::find(&root)), model.ternary_head);
        let checkpoint = TransformersCheckpoint { shards, encoding, names, config, ternary_head };
        checkpoint.check_tensors(model)?;
        Ok(checkpoint)
    }

    /// Checks that every tensor has a place in the model.
    fn check_tensors(&self, model: &Config) -> Result<()> {
        let mut used = HashSet::new();
        // Next to a tied head there may be a copy of the embedding, as `Config::load` found out.
        let copy = model.tie_word_embeddings.then(|| model.output_head());
        let tensors = model.tensors();
        let is_here = |name: &str| self.shards.files().any(|file| file.contains(name));
        if !tensors.iter().all(|tensor| is_here(&self.names.stored(&tensor.name))) {
            // The reader names the missing tensor, which matters more.
            return Ok(());
        }
        for tensor in tensors.into_iter().chain(copy) {
            let name = self.names.stored(&tensor.name);
            let may_be_ternary = matches!(tensor.role, Role::Ternary(..) | Role::Table(..));
            let has_scale = match self.encoding {
                Encoding::Quantized(_) => may_be_ternary,
                // Master weights make their own scale, as in transformers; a stored one counts for nothing.
                Encoding::Master => true,
                _ => false,
            };
            if has_scale {
                used.insert(format!("{name}_scale"));
            }
            used.insert(name);
        }
        self.shards
            .files()
            .try_for_each(|file| unused::refuse(file.label(), file.names(), &used, |name| file.is_zero(name)))
    }

    fn stored(&self, name: &str, n: usize, k: usize) -> Result<StoredFloats> {
        self.shards.file(name)?.stored_floats(name, &[n, k])
    }

    /// Reads packed trits, four codes per byte.
    fn codes(&self, name: &str, n: usize, k: usize) -> Result<Vec<i8>> {
        let file = self.shards.file(name)?;
        if !n.is_multiple_of(4) {
            return Err(Error::unsupported(file.label(), name, format!("{n} rows"), "a multiple of 4 rows"));
        }
        unpack(file.u8(name, &[n / 4, k])?, n, k).map_err(|e| {
            let problem = format!("code 3 at row {}, column {} is not a ternary weight", e.row, e.column);
            Error::malformed(file.label(), name, problem, DAMAGED)
        })
    }

    /// Reads master weights and rounds them to trits.
    fn rounded(&self, name: &str, n: usize, k: usize) -> Result<Ternary> {
        let weights = self.stored(name, n, k)?.get().to_vec();
        match weights.iter().position(|weight| !weight.is_finite()) {
            None => Ok(Ternary::absmean(&weights)),
            Some(i) => {
                let problem = format!("row {}, column {} is {}", i / k, i % k, weights[i]);
                Err(Error::malformed(self.shards.file(name)?.label(), name, problem, DAMAGED))
            }
        }
    }

    /// Reads floats that are ternary already.
    fn exact(&self, name: &str, n: usize, k: usize) -> Result<Ternary> {
        Ternary::exact(self.stored(name, n, k)?.get(), k).ok_or_else(|| {
            let found = format!("{}, and the weights of {name} are not ternary", self.encoding);
            Error::unsupported(&self.config, "quantization_config", found, encoding::EXPECTED)
        })
    }
}

impl Checkpoint for TransformersCheckpoint {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let stored = self.names.stored(name);
        let mut vector = self.shards.file(&stored)?.vector(&stored, len)?;
        if self.names.store_gain_less_one(name) {
            vector.iter_mut().for_each(|gain| *gain += 1.0);
        }
        Ok(vector)
    }

    fn ternary(&self, name: &str, n: usize, k: usize) -> Result<Ternary> {
        let name = &self.names.stored(name);
        let matrix = match self.encoding {
            Encoding::Quantized(rule) => {
                let scale = format!("{name}_scale");
                let factor = rule.factor(self.shards.file(&scale)?.scale(&scale)?);
                match self.shards.file(name)?.dtype(name) {
                    Some(Dtype::BF16 | Dtype::F16 | Dtype::F32) => {
                        self.exact(name, n, k).map(|matrix| matrix.scaled(factor))
                    }
                    _ => self.codes(name, n, k).map(|trits| Ternary::of(trits, factor)),
                }
            }
            Encoding::Master => self.rounded(name, n, k),
            Encoding::Plain => self.exact(name, n, k),
        };
        // The matrix will be packed, so its pages are not needed again.
        self.shards.file(name)?.release(name);
        matrix
    }

    fn check(&self) -> Result<()> {
        self.shards.check()
    }

    fn table(&self, name: &str, n: usize, k: usize) -> Result<Table> {
        let stored = &self.names.stored(name);
        let is_ternary = match self.encoding {
            Encoding::Quantized(_) => self.shards.file(stored)?.dtype(stored) == Some(Dtype::U8),
            Encoding::Master => self.ternary_head && name.strip_suffix(".weight") == Some(HEAD),
            Encoding::Plain => return Ok(Table::of(self.stored(stored, n, k)?, k)),
        };
        match is_ternary {
            true => self.ternary(name, n, k).map(Table::Ternary),
            false => self.stored(stored, n, k).map(Table::Floats),
        }
    }
}

/// Returns what sets the names of the tensors of a model of `family` apart, or `None` without safetensors files.
///
/// # Errors
/// Fails if a file is damaged.
pub(super) fn names(files: &ModelFiles, family: Option<&'static Family>) -> Result<Option<Names>> {
    Ok(shards(files)?.map(|shards| Names::of(&shards, family)))
}

/// Returns true if the model's files have an output head that differs from the embedding. Without
/// safetensors files, they have none.
///
/// # Errors
/// Fails if a file is damaged.
pub(super) fn has_own_head(files: &ModelFiles, config: &Config) -> Result<bool> {
    let Some(shards) = shards(files)? else { return Ok(false) };
    let find = |name: &str| shards.files().find(|file| file.contains(name));
    let (embedding, head) = (config.embedding().name, config.output_head().name);
    let (Some(of_embedding), Some(of_head)) = (find(&embedding), find(&head)) else { return Ok(false) };
    let same = of_embedding.equals(&embedding, of_head, &head);
    of_embedding.release(&embedding);
    of_head.release(&head);
    Ok(!same)
}

/// Opens the model's safetensors files, if it has any.
fn shards(files: &ModelFiles) -> Result<Option<Shards>> {
    let has_any = files.try_get(MODEL)?.is_some() || files.try_get(SHARD_INDEX)?.is_some();
    has_any.then(|| Shards::open(files)).transpose()
}

/// Does the same as [`ternary::unpack`], vectorized.
fn unpack(packed: &[u8], n: usize, k: usize) -> Result<Vec<i8>, InvalidCode> {
    let threes = packed.iter().fold(0, |threes, byte| threes | byte & byte >> 1 & 0x55);
    if threes != 0 || packed.is_empty() {
        return ternary::unpack(packed, n, k);
    }
    let mut trits = vec![0; n * k];
    for (quarter, shift) in trits.chunks_exact_mut(packed.len()).zip([0, 2, 4, 6]) {
        quarter.iter_mut().zip(packed).for_each(|(trit, byte)| *trit = (byte >> shift & 3) as i8 - 1);
    }
    Ok(trits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacking_in_vectors_is_unpacking() {
        for (n, k) in [(4, 1), (8, 33), (12, 64)] {
            let mut packed: Vec<u8> =
                (0..n / 4 * k).map(|i| [0x00, 0x19, 0x86, 0xA9, 0x61][i * i % 5]).collect();
            assert_eq!(unpack(&packed, n, k).unwrap(), ternary::unpack(&packed, n, k).unwrap());
            for code in [0x03, 0x0C, 0x30, 0xC0] {
                packed[k / 2] = code;
                assert_eq!(unpack(&packed, n, k), ternary::unpack(&packed, n, k));
                assert!(unpack(&packed, n, k).is_err());
            }
        }
    }
}
