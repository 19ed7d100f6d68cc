//! JSON objects, read field by field, so that every error names its field.

use serde_json::{Map, Value};

use crate::ModelFiles;
use crate::error::{Error, Result};

const REPAIR: &str = "download the file again or correct it";

/// Parses the JSON object in `bytes`. Messages call it `file`.
///
/// # Errors
/// [`Error::Malformed`] if it is something else.
pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::malformed(file, "the whole file", "is not a JSON object", REPAIR)),
        Err(e) => Err(Error::malformed(file, "JSON", e.to_string(), REPAIR)),
    }
}

/// Warns of tokens that `file`, whose contents are `bytes`, says start or end a text, but that the
/// vocabulary does not have.
pub(crate) fn warn_of_absent_tokens(files: &ModelFiles, file: &str, bytes: &[u8], vocab_size: usize) {
    let Ok(map) = parse(bytes, file) else { return };
    for name in ["bos_token_id", "eos_token_id"] {
        let value = map.get(name).unwrap_or(&Value::Null);
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let absent =
            |item: &&Value| item.is_number() && item.as_u64().is_none_or(|id| id >= vocab_size as u64);
        if let Some(id) = items.iter().find(absent) {
            let label = files.label(file);
            files.warn(format!("{label}: {name}: {id} is not a token of the vocabulary; it is not used"));
        }
    }
}

/// A JSON object and its place in a file. A field with the value `null` counts as absent.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    file: &'a str,
    /// The path to this object, such as `rope_parameters.`. Empty at the top.
    path: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(file: &'a str, map: &'a Map<String, Value>) -> Self {
        Self::at(file, "", map)
    }

    /// Returns the object whose fields have names that start with `path` in messages.
    pub(crate) fn at(file: &'a str, path: &'a str, map: &'a Map<String, Value>) -> Self {
        Object { file, path, map }
    }

    /// Returns the object in field `name`. `path` must be `name` and a full stop.
    pub(crate) fn object(&self, name: &str, path: &'a str) -> Result<Option<Object<'a>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Object { file: self.file, path, map })),
            Some(_) => Err(self.malformed(name, "is not an object")),
        }
    }

    /// Returns every field and its value.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.map.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Returns a whole number from 1 to `largest`.
    pub(crate) fn size(&self, name: &str, largest: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if (1..=largest).contains(&n) => Ok(Some(n)),
            _ => Err(self.malformed(name, &format!("{value} is not a whole number from 1 to {largest}"))),
        }
    }

    /// Returns a number within the range of f32 that passes `valid`. Messages describe the check as
    /// `rule`.
    pub(crate) fn number(&self, name: &str, rule: &str, valid: impl Fn(f32) -> bool) -> Result<Option<f32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64().map(|n| n as f32) {
            Some(n) if n.is_finite() && valid(n) => Ok(Some(n)),
            _ => Err(self.malformed(name, &format!("{value} is not {rule}"))),
        }
    }

    /// Returns a list of `count` positive numbers within the range of f32.
    pub(crate) fn positive_numbers(&self, name: &str, count: usize) -> Result<Option<Vec<f32>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let positive = |item: &Value| item.as_f64().map(|n| n as f32).filter(|n| n.is_finite() && *n > 0.0);
        let numbers: Option<Vec<f32>> =
            value.as_array().and_then(|items| items.iter().map(positive).collect());
        let numbers = numbers.filter(|numbers| numbers.len() == count);
        numbers
            .map(Some)
            .ok_or_else(|| self.malformed(name, &format!("is not a list of {count} positive numbers")))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| self.malformed(name, &format!("{value} is not true or false")))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.malformed(name, &format!("{value} is not a text")))
    }

    /// Returns the token ids in field `name`, which holds one or a list. Ids outside the vocabulary are
    /// left out, and `None` is returned if no other is left.
    pub(crate) fn token_ids(&self, name: &str, vocab_size: usize) -> Result<Option<Vec<u32>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        if !items.iter().all(|item| item.is_u64() || item.is_i64()) {
            return Err(self.malformed(name, &format!("{value} is neither a token id nor a list of them")));
        }
        let id = |item: &Value| u32::try_from(item.as_u64()?).ok().filter(|&id| (id as usize) < vocab_size);
        let ids: Vec<u32> = items.iter().filter_map(id).collect();
        Ok((items.is_empty() || !ids.is_empty()).then_some(ids))
    }

    /// Returns `value`, or an error if field `name` is absent.
    pub(crate) fn require<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.malformed(name, "is missing"))
    }

    pub(crate) fn malformed(&self, name: &str, problem: &str) -> Error {
        Error::malformed(self.file, self.field(name), problem, REPAIR)
    }

    pub(crate) fn unsupported(&self, name: &str, found: impl ToString, expected: &str) -> Error {
        Error::unsupported(self.file, self.field(name), found.to_string(), expected)
    }

    /// Returns the path to field `name`.
    pub(crate) fn field(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }
}
