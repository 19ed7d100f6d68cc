//! The metadata of a GGUF file: values by key, checked once. Texts and lists stay in the file's
//! bytes.

use std::collections::HashMap;
use std::ops::Range;

use super::DAMAGED;
use super::cursor::Cursor;
use crate::Bytes;
use crate::error::{Error, Result};

/// Deepest nesting of lists. No file needs more levels.
const DEEPEST: usize = 4;

/// The checked metadata.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    bytes: Bytes,
    label: String,
    values: HashMap<String, Value>,
}

/// A value, or the place of a text or list in the file.
#[derive(Clone, Debug)]
enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(Range<usize>),
    List(List),
}

#[derive(Clone, Debug)]
struct List {
    kind: u32,
    count: usize,
    range: Range<usize>,
}

impl Metadata {
    /// Reads `count` values at the cursor, which points into `bytes`.
    pub(super) fn read(cursor: &mut Cursor<'_>, count: usize, bytes: &Bytes, label: &str) -> Result<Self> {
        let mut values = HashMap::new();
        for _ in 0..count {
            let key = cursor.name("the metadata's keys")?;
            let kind = cursor.u32(key)?;
            let value = value(cursor, kind, key, 0)?;
            if values.insert(key.to_owned(), value).is_some() {
                return Err(cursor.malformed(key, "the key occurs twice"));
            }
        }
        Ok(Metadata { bytes: bytes.clone(), label: label.to_owned(), values })
    }

    /// Returns a whole number of at least 0.
    pub(super) fn unsigned(&self, key: &str) -> Result<Option<u64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Unsigned(number)) => Ok(Some(*number)),
            Some(Value::Signed(number)) if *number >= 0 => Ok(Some(*number as u64)),
            Some(_) => Err(self.malformed(key, "is not a whole number of at least 0")),
        }
    }

    /// Returns a whole number. A list with an entry for each layer is fine if all entries are the
    /// same.
    pub(super) fn uniform(&self, key: &str) -> Result<Option<u64>> {
        let Some(Value::List(list)) = self.values.get(key) else { return self.unsigned(key) };
        let numbers = self.list_numbers(key, list)?;
        match numbers.first() {
            Some(&first) if first >= 0.0 && first.fract() == 0.0 && numbers.iter().all(|n| *n == first) => {
                Ok(Some(first as u64))
            }
            _ => Err(Error::unsupported(
                &self.label,
                key,
                "different by layer",
                "the same number for all layers",
            )),
        }
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Float(number)) if number.is_finite() => Ok(Some(*number)),
            Some(Value::Unsigned(number)) => Ok(Some(*number as f64)),
            Some(Value::Signed(number)) => Ok(Some(*number as f64)),
            Some(_) => Err(self.malformed(key, "is not a finite number")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.malformed(key, "is neither true nor false")),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Text(range)) => self.utf8(key, range.clone()).map(Some),
            Some(_) => Err(self.malformed(key, "is not a text")),
        }
    }

    /// Returns a list of texts.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let list = match self.values.get(key) {
            None => return Ok(None),
            Some(Value::List(list)) if list.kind == kind::TEXT => list,
            Some(_) => return Err(self.malformed(key, "is not a list of texts")),
        };
        let mut cursor = self.items(list);
        let text = |_| cursor.text(key).and_then(|range| self.utf8(key, shifted(range, list.range.start)));
        (0..list.count).map(text).collect::<Result<_>>().map(Some)
    }

    /// Returns a list of numbers.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => self.list_numbers(key, list).map(Some),
            Some(_) => Err(self.malformed(key, "is not a list of numbers")),
        }
    }

    fn list_numbers(&self, key: &str, list: &List) -> Result<Vec<f64>> {
        let mut cursor = self.items(list);
        let number = |_| match value(&mut cursor, list.kind, key, DEEPEST)? {
            Value::Unsigned(number) => Ok(number as f64),
            Value::Signed(number) => Ok(number as f64),
            Value::Float(number) if number.is_finite() => Ok(number),
            _ => Err(self.malformed(key, "is not a list of finite numbers")),
        };
        (0..list.count).map(number).collect()
    }

    /// Returns every key with its value. A list that is long or holds no numbers becomes a text.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, serde_json::Value)> {
        /// As many entries as a model may have layers.
        const LONGEST: usize = 1 << 10;
        self.values.iter().map(|(key, value)| {
            let value = match value {
                Value::Unsigned(number) => (*number).into(),
                Value::Signed(number) => (*number).into(),
                Value::Float(number) => (*number).into(),
                Value::Flag(flag) => (*flag).into(),
                Value::Text(_) => self.text(key).ok().flatten().unwrap_or("a text that is not UTF-8").into(),
                Value::List(list) => Some(list)
                    .filter(|list| list.count <= LONGEST)
                    .and_then(|list| self.list_numbers(key, list).ok())
                    .map_or_else(|| format!("a list of {}", list.count).into(), serde_json::Value::from),
            };
            (key.as_str(), value)
        })
    }

    fn items(&self, list: &List) -> Cursor<'_> {
        Cursor::new(&self.bytes[list.range.clone()], &self.label)
    }

    fn utf8(&self, key: &str, range: Range<usize>) -> Result<&str> {
        str::from_utf8(&self.bytes[range]).map_err(|e| self.malformed(key, e.to_string()))
    }

    pub(super) fn malformed(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::malformed(&self.label, key, problem, DAMAGED)
    }
}

fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// Numbers of the value types, as the format's specification assigns them.
pub(super) mod kind {
    pub(in super::super) const U8: u32 = 0;
    pub(in super::super) const I8: u32 = 1;
    pub(in super::super) const U16: u32 = 2;
    pub(in super::super) const I16: u32 = 3;
    pub(in super::super) const U32: u32 = 4;
    pub(in super::super) const I32: u32 = 5;
    pub(in super::super) const F32: u32 = 6;
    pub(in super::super) const FLAG: u32 = 7;
    pub(in super::super) const TEXT: u32 = 8;
    pub(in super::super) const LIST: u32 = 9;
    pub(in super::super) const U64: u32 = 10;
    pub(in super::super) const I64: u32 = 11;
    pub(in super::super) const F64: u32 = 12;
}

/// Reads the value of type `kind` at the cursor, inside `depth` lists.
fn value(cursor: &mut Cursor<'_>, kind: u32, key: &str, depth: usize) -> Result<Value> {
    Ok(match kind {
        kind::U8 => Value::Unsigned(cursor.array::<1>(key)?[0].into()),
        kind::I8 => Value::Signed(i8::from_le_bytes(cursor.array(key)?).into()),
        kind::U16 => Value::Unsigned(u16::from_le_bytes(cursor.array(key)?).into()),
        kind::I16 => Value::Signed(i16::from_le_bytes(cursor.array(key)?).into()),
        kind::U32 => Value::Unsigned(cursor.u32(key)?.into()),
        kind::I32 => Value::Signed(i32::from_le_bytes(cursor.array(key)?).into()),
        kind::F32 => Value::Float(f32::from_le_bytes(cursor.array(key)?).into()),
        kind::FLAG => match cursor.array::<1>(key)? {
            [0] => Value::Flag(false),
            [1] => Value::Flag(true),
            [other] => return Err(cursor.malformed(key, format!("{other} is neither true nor false"))),
        },
        kind::TEXT => Value::Text(cursor.text(key)?),
        kind::LIST if depth < DEEPEST => Value::List(list(cursor, key, depth)?),
        kind::LIST => return Err(cursor.malformed(key, "lists are nested too deep")),
        kind::U64 => Value::Unsigned(cursor.u64(key)?),
        kind::I64 => Value::Signed(i64::from_le_bytes(cursor.array(key)?)),
        kind::F64 => Value::Float(f64::from_le_bytes(cursor.array(key)?)),
        other => return Err(cursor.malformed(key, format!("{other} is not a type of value"))),
    })
}

fn list(cursor: &mut Cursor<'_>, key: &str, depth: usize) -> Result<List> {
    let kind = cursor.u32(key)?;
    let count = cursor.count(1, key)?;
    let start = cursor.at();
    for _ in 0..count {
        value(cursor, kind, key, depth + 1)?;
    }
    Ok(List { kind, count, range: start..cursor.at() })
}
