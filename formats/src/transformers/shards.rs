//! One safetensors file, or several and an index that says which tensor is where.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::json::{self, Object};
use crate::{MODEL, ModelFiles, SHARD_INDEX, TensorFile};

/// A model's safetensors files.
#[derive(Debug)]
pub(super) enum Shards {
    One(TensorFile),
    Several {
        /// What messages call the index.
        label: String,
        files: Vec<TensorFile>,
        /// Which file a tensor is in.
        index: HashMap<String, usize>,
    },
}

impl Shards {
    /// Opens `model.safetensors` or, as transformers does, without it what the index names.
    ///
    /// # Errors
    /// Fails if a file is missing or damaged, or the index names no plain file.
    pub(super) fn open(files: &ModelFiles) -> Result<Self> {
        if let Some(bytes) = files.try_get(MODEL)? {
            return Ok(Shards::One(TensorFile::open(bytes, files.label(MODEL))?));
        }
        let Some(bytes) = files.try_get(SHARD_INDEX)? else {
            return Ok(Shards::One(TensorFile::load(files, MODEL)?));
        };
        let label = files.label(SHARD_INDEX);
        let places = shard_index(&bytes, &label)?;
        let mut names: Vec<&String> = places.values().collect();
        names.sort();
        names.dedup();
        let opened: Vec<TensorFile> =
            names.iter().map(|name| TensorFile::load(files, name)).collect::<Result<_>>()?;
        let numbers: HashMap<&String, usize> = names.into_iter().zip(0..).collect();
        let index = places.iter().map(|(tensor, file)| (tensor.clone(), numbers[file])).collect();
        Ok(Shards::Several { label, files: opened, index })
    }

    /// The file of the tensor `name`, which may still lack it.
    ///
    /// # Errors
    /// Fails if the index does not know it.
    pub(super) fn file(&self, name: &str) -> Result<&TensorFile> {
        match self {
            Shards::One(file) => Ok(file),
            Shards::Several { label, files, index } => {
                index.get(name).map(|&file| &files[file]).ok_or_else(|| {
                    let remedy = "check that the file belongs to the config.json beside it";
                    Error::malformed(label, format!("weight_map.{name}"), "is missing", remedy)
                })
            }
        }
    }
}

/// The file of each tensor, as an index has it: one beside the index.
///
/// # Errors
/// [`Error::Malformed`] if it is no index, or a file is not beside it.
pub fn shard_index(bytes: &[u8], label: &str) -> Result<HashMap<String, String>> {
    let map = json::parse(bytes, label)?;
    let root = Object::new(label, &map);
    let weight_map = root.require("weight_map", root.object("weight_map", "weight_map.")?)?;
    let place = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(name) if name.ends_with(".safetensors") && !name.contains(['/', '\\']) => {
            Ok((tensor.clone(), name.to_owned()))
        }
        _ => Err(weight_map.malformed(tensor, &format!("{file} names no safetensors file beside the index"))),
    };
    weight_map.fields().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_plain_files_only() {
        let index = br#"{"metadata": {}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}"#;
        assert_eq!(shard_index(index, "i").unwrap()["b"], "m-2.safetensors");
        for (index, part) in [
            (&b"[]"[..], "is no JSON object"),
            (b"{}", "weight_map: is missing"),
            (br#"{"weight_map": []}"#, "weight_map: is no object"),
            (br#"{"weight_map": {"a": 1}}"#, "weight_map.a: 1 names no safetensors file"),
            (br#"{"weight_map": {"a": "../m.safetensors"}}"#, "weight_map.a: \"../m.safetensors\" names no"),
            (br#"{"weight_map": {"a": "config.json"}}"#, "weight_map.a: \"config.json\" names no"),
        ] {
            let message = shard_index(index, "i").unwrap_err().to_string();
            assert!(message.starts_with("i: ") && message.contains(part), "{message} lacks {part}");
        }
    }
}
