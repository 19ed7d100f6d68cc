//! What a GGUF file has beyond the model that Tercet computes: keys and tensors.

use std::collections::HashSet;

use serde_json::Map;

use super::GgufFile;
use super::names::{self, ROPE_FACTORS};
use crate::config::{Config, Family, Role};
use crate::error::Result;
use crate::json::Object;
use crate::keys::{self, Facts};
use crate::unused;

impl GgufFile {
    /// Checks the keys of the metadata. Returns those without a known meaning.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) names a key that changes the logits in a way
    /// that this version does not compute.
    pub(crate) fn check_keys(&self, config: &Config) -> Result<Vec<String>> {
        let architecture = self.architecture()?;
        let family = Family::of_gguf(self.label(), architecture, |key| self.metadata.text(key))?;
        let facts = Facts {
            positions: config.max_positions,
            head_dim: config.head_dim,
            hidden_size: config.hidden_size,
            activations: family.activation.gguf_names(),
            ..Facts::default()
        };
        let path = format!("{architecture}.");
        let (mut own, mut other) = (Map::new(), Map::new());
        for (key, value) in self.metadata.entries() {
            match key.strip_prefix(&path) {
                Some(name) => own.insert(name.to_owned(), value),
                None => other.insert(key.to_owned(), value),
            };
        }
        let own = Object::at(self.label(), &path, &own);
        keys::refuse(&own, &keys::check(keys::gguf::ARCHITECTURE, &own, &facts)?)?;
        let other = Object::new(self.label(), &other);
        let starts = |key: &str, starts: &[&str]| starts.iter().any(|start| key.starts_with(start));
        let mut unknown = keys::check(keys::gguf::OTHER, &other, &facts)?;
        unknown.retain(|key| !starts(key, &keys::gguf::DESCRIPTIVE));
        let refused: Vec<_> =
            unknown.iter().copied().filter(|key| starts(key, &keys::gguf::REFUSED)).collect();
        keys::refuse(&other, &refused)?;
        Ok(keys::suspect(&other, unknown)?.into_iter().map(str::to_owned).collect())
    }

    /// Checks that every tensor has a place in the model.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) names a tensor without one.
    pub(crate) fn check_tensors(&self, config: &Config) -> Result<()> {
        let mut used = HashSet::from([ROPE_FACTORS.to_owned()]);
        let tensors = config.tensors();
        if !tensors.iter().all(|tensor| self.contains(&tensor.name)) {
            // The reader names the missing tensor, which matters more.
            return Ok(());
        }
        for tensor in tensors {
            let Some(name) = names::gguf_name(&tensor.name) else { continue };
            if tensor.role != Role::Vector(tensor.matrix().0) {
                used.insert(format!("{}.scale", name.trim_end_matches(".weight")));
            }
            used.insert(name);
        }
        unused::refuse(self.label(), self.names(), &used, |name| {
            let shape = self.shape(name).unwrap_or_default();
            Ok(self.stored_floats(name, shape)?.get().to_vec().iter().all(|element| *element == 0.0))
        })
    }
}
