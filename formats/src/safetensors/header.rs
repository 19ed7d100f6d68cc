//! The header, checked before anything else uses it.

use std::collections::HashSet;
use std::fmt;

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Metadata, SafeTensorError};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{DAMAGED, OTHER_MODEL};
use crate::error::{Error, Result};

/// The header's length field: a little-endian u64.
const LENGTH_SIZE: usize = 8;
/// A header of this size describes about a million tensors.
const LARGEST: u64 = 100_000_000;

/// Returns the start of the tensors' bytes, and their descriptions in the checked header of `file`.
pub(super) fn read(file: &[u8], label: &str) -> Result<(usize, Metadata)> {
    let json = json(file, label)?;
    serde_json::from_slice::<UniqueKeys>(json)
        .map_err(|e| Error::malformed(label, "header", format!("not valid JSON: {e}"), DAMAGED))?;
    let (_, metadata) = SafeTensors::read_metadata(file).map_err(|e| explain(e, label))?;
    Ok((LENGTH_SIZE + json.len(), metadata))
}

/// Returns the header's JSON text, if the file is at least as long as the length field states.
fn json<'a>(file: &'a [u8], label: &str) -> Result<&'a [u8]> {
    let malformed = |problem: String| Error::malformed(label, "header length", problem, DAMAGED);
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_SIZE>() else {
        return Err(malformed(format!("the file ends after {} bytes", file.len())));
    };
    let length = u64::from_le_bytes(*length);
    if length > LARGEST {
        return Err(malformed(format!("{length} bytes is oversized, {LARGEST} is the limit")));
    }
    rest.get(..length as usize)
        .ok_or_else(|| malformed(format!("{length} bytes, but only {} follow", rest.len())))
}

fn explain(error: SafeTensorError, label: &str) -> Error {
    use SafeTensorError as E;
    let (field, problem, remedy) = match error {
        E::InvalidOffset(tensor) => {
            let problem = "its bytes overlap another tensor or leave a gap";
            return Error::malformed(label, tensor, problem, DAMAGED);
        }
        E::MetadataIncompleteBuffer => {
            ("tensors", "they do not end where the file ends (truncated?)".to_owned(), DAMAGED)
        }
        E::TensorInvalidInfo | E::MisalignedSlice => {
            ("data_offsets", "a tensor's size is not that of its type and shape".to_owned(), DAMAGED)
        }
        E::ValidationOverflow => ("shape", "a tensor is larger than any memory".to_owned(), DAMAGED),
        E::InvalidHeaderDeserialization(e) | E::JsonError(e) => ("header", e.to_string(), OTHER_MODEL),
        other => ("header", other.to_string(), DAMAGED),
    };
    Error::malformed(label, field, problem, remedy)
}

/// A JSON object without duplicate keys. `safetensors` itself does not check this.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueKeys)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that describes tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("{name:?} is described twice")));
            }
            names.insert(name);
        }
        Ok(UniqueKeys)
    }
}
