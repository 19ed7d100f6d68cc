//! The tensors of a GGUF file: shapes and places.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::Cursor;
use super::types::TensorType;
use crate::error::{Error, Result};

/// One tensor.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// The type, or the file's number if this version cannot read the type.
    pub(super) kind: Result<TensorType, u32>,
    /// The last dimension varies fastest, as in safetensors. The file has the reverse order.
    pub(super) shape: Vec<usize>,
    /// Place in the file. Empty if the type is unknown.
    pub(super) range: Range<usize>,
    /// Number of the file, if the model is in several.
    pub(super) part: usize,
}

/// Reads `count` descriptions at the cursor. The data start after them, at the next multiple of
/// `alignment`.
pub(super) fn read_all(
    cursor: &mut Cursor<'_>,
    count: usize,
    alignment: usize,
) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    for _ in 0..count {
        let (name, tensor) = read(cursor)?;
        if !tensor.range.start.is_multiple_of(alignment) {
            let problem = format!("offset {} is not a multiple of {alignment}", tensor.range.start);
            return Err(cursor.malformed(name, problem));
        }
        if tensors.insert(name.to_owned(), tensor).is_some() {
            return Err(cursor.malformed(name, "the tensor is described twice"));
        }
    }
    let data = cursor.at().next_multiple_of(alignment);
    let end = cursor.at() + cursor.left();
    settle_q2_0(&mut tensors, end.saturating_sub(data));
    for (name, tensor) in &mut tensors {
        let place = tensor.range.start.checked_add(data).zip(tensor.range.end.checked_add(data));
        match place {
            Some((start, place_end)) if place_end <= end => tensor.range = start..place_end,
            _ => return Err(cursor.malformed(name, "lies beyond the end of the file (truncated?)")),
        }
    }
    refuse_overlaps(cursor, &tensors)?;
    Ok(tensors)
}

/// Decides whether tensors marked Q2_0 have blocks of 64 or of 128 weights.
///
/// PrismML's older converter gives blocks of 128 the number that ggml gives to blocks of 64. Blocks
/// of 64 take more room. If one such tensor would reach into the next tensor, or beyond the
/// `length` bytes of data, all have blocks of 128.
fn settle_q2_0(tensors: &mut BTreeMap<String, Tensor>, length: usize) {
    let mut starts: Vec<usize> = tensors.values().map(|tensor| tensor.range.start).collect();
    starts.sort_unstable();
    let room_ends =
        |start| starts.get(starts.partition_point(|other| *other <= start)).copied().unwrap_or(length);
    let is_q2_0 = |tensor: &&mut Tensor| tensor.kind == Ok(TensorType::Q2_0);
    let lacks_room = |tensor: &Tensor| tensor.range.end > room_ends(tensor.range.start);
    if !tensors.values_mut().any(|tensor| is_q2_0(&tensor) && lacks_room(tensor)) {
        return;
    }
    for tensor in tensors.values_mut().filter(is_q2_0) {
        if let Some(size) = TensorType::Pq2_0.bytes(&tensor.shape) {
            tensor.kind = Ok(TensorType::Pq2_0);
            tensor.range.end = tensor.range.start + size;
        }
    }
}

/// Reads one description. Its range is relative to the start of the data.
fn read<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Tensor)> {
    /// ggml's limit.
    const MOST_DIMENSIONS: u32 = 4;
    let name = cursor.name("the tensors' names")?;
    let dimensions = cursor.u32(name)?;
    if dimensions > MOST_DIMENSIONS {
        return Err(
            cursor.malformed(name, format!("{dimensions} dimensions, {MOST_DIMENSIONS} is the limit"))
        );
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let length = cursor.u64(name)?;
        shape.insert(0, usize::try_from(length).map_err(|_| too_large(cursor, name))?);
    }
    let code = cursor.u32(name)?;
    let kind = TensorType::of_code(code).ok_or(code);
    let start = usize::try_from(cursor.u64(name)?).map_err(|_| too_large(cursor, name))?;
    let size = match kind {
        Err(_) => 0,
        Ok(kind) => kind.bytes(&shape).ok_or_else(|| {
            cursor.malformed(name, format!("{} cannot have the shape {shape:?}", kind.name()))
        })?,
    };
    let end = start.checked_add(size).ok_or_else(|| too_large(cursor, name))?;
    Ok((name, Tensor { kind, shape, range: start..end, part: 0 }))
}

fn too_large(cursor: &Cursor<'_>, name: &str) -> Error {
    cursor.malformed(name, "is larger than any memory")
}

fn refuse_overlaps(cursor: &Cursor<'_>, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let mut places: Vec<_> = tensors
        .iter()
        .filter(|(_, tensor)| !tensor.range.is_empty())
        .map(|(name, t)| (&t.range, name))
        .collect();
    places.sort_by_key(|(range, _)| range.start);
    match places.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
        None => Ok(()),
        Some(pair) => Err(cursor.malformed(pair[1].1, format!("its bytes overlap those of {}", pair[0].1))),
    }
}
