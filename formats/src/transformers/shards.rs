//! One safetensors file, or several files and an index of their tensors.

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
        /// The index's name in messages.
        label: String,
        files: Vec<TensorFile>,
        /// Position in `files` of each tensor's file.
        index: HashMap<String, usize>,
    },
}

impl Shards {
    /// Opens `model.safetensors`. Without this file, opens the files in the index, like
    /// transformers.
    ///
    /// # Errors
    /// Fails if a file is missing or damaged, or if a name in the index is not a plain file name.
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

    /// Requires that the files are as they were when they were opened.
    pub(super) fn check(&self) -> Result<()> {
        self.files().try_for_each(TensorFile::check)
    }

    /// Returns all files.
    pub(super) fn files(&self) -> impl Iterator<Item = &TensorFile> {
        match self {
            Shards::One(file) => std::slice::from_ref(file).iter(),
            Shards::Several { files, .. } => files.iter(),
        }
    }

    /// Returns the file of the tensor `name`. The file may still lack the tensor.
    ///
    /// # Errors
    /// Fails if the index does not list the tensor.
    pub(super) fn file(&self, name: &str) -> Result<&TensorFile> {
        match self {
            Shards::One(file) => Ok(file),
            Shards::Several { label, files, index } => {
                index.get(name).map(|&file| &files[file]).ok_or_else(|| {
                    let remedy = "check that the file belongs to the config.json next to it";
                    Error::malformed(label, format!("weight_map.{name}"), "is missing", remedy)
                })
            }
        }
    }
}

/// Returns the file of each tensor in an index. All files are in the index's directory.
///
/// # Errors
/// [`Error::Malformed`] if `bytes` is not an index, or if a file is in another directory.
pub fn shard_index(bytes: &[u8], label: &str) -> Result<HashMap<String, String>> {
    let map = json::parse(bytes, label)?;
    let root = Object::new(label, &map);
    let weight_map = root.require("weight_map", root.object("weight_map", "weight_map.")?)?;
    let place = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(name) if name.ends_with(".safetensors") && !name.contains(['/', '\\']) => {
            Ok((tensor.clone(), name.to_owned()))
        }
        _ => Err(weight_map
            .malformed(tensor, &format!("{file} is not the name of a safetensors file next to the index"))),
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
            (&b"[]"[..], "is not a JSON object"),
            (b"{}", "weight_map: is missing"),
            (br#"{"weight_map": []}"#, "weight_map: is not an object"),
            (br#"{"weight_map": {"a": 1}}"#, "weight_map.a: 1 is not the name of a safetensors file"),
            (
                br#"{"weight_map": {"a": "../m.safetensors"}}"#,
                "weight_map.a: \"../m.safetensors\" is not the name",
            ),
            (br#"{"weight_map": {"a": "config.json"}}"#, "weight_map.a: \"config.json\" is not the name"),
        ] {
            let message = shard_index(index, "i").unwrap_err().to_string();
            assert!(message.starts_with("i: ") && message.contains(part), "{message} lacks {part}");
        }
    }
}
