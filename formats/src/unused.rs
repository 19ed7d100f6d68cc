//! Tensors that a file has and the model does not use.

use std::collections::HashSet;

use crate::error::{Error, Result};

/// Ends of the names of tensors that are computed anew: tables of the rotary embedding.
const HARMLESS: [&str; 3] = [".rotary_emb.inv_freq", ".attn_rot_embd", ".attn_rot_embd.weight"];

/// Refuses tensors of the file called `label` that are not `used`, because they would change the
/// result. Biases whose elements `are_zero` are fine.
///
/// # Errors
/// [`Error::Unsupported`] names such a tensor.
pub(crate) fn refuse(
    label: &str,
    names: impl IntoIterator<Item = impl AsRef<str>>,
    used: &HashSet<String>,
    are_zero: impl Fn(&str) -> Result<bool>,
) -> Result<()> {
    for name in names {
        let name = name.as_ref();
        let harmless = used.contains(name)
            || HARMLESS.iter().any(|end| name.ends_with(end))
            || name.ends_with(".bias") && are_zero(name).unwrap_or(false);
        if !harmless {
            let found = "a tensor that this architecture does not use";
            let expected = "only tensors that the model's description has a place for";
            return Err(Error::unsupported(label, name, found, expected));
        }
    }
    Ok(())
}
