//! The tensors of a GGUF file: types, shapes and places.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::Cursor;
use crate::BlockKind;
use crate::error::{Error, Result};

/// The type of a tensor's elements. All are ggml's, except that [`TensorType::I2S`] is
/// bitnet.cpp's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// Blocks of 32: an f16 scale, 32 codes of 4 bits.
    Q4_0,
    /// Blocks of 32: an f16 scale, 32 codes of 8 bits.
    Q8_0,
    /// Blocks of 256: codes of 6 bits, 16 scales of 8 bits and an f16 scale.
    Q6K,
    /// Ternary blocks of 256 at 1.6875 bits, with an f16 scale.
    Tq1_0,
    /// Ternary blocks of 256 at 2.0625 bits, with an f16 scale.
    Tq2_0,
    /// Blocks of 64: an f16 scale, 64 codes of 2 bits.
    Q2_0,
    /// The same with blocks of 128, in PrismML's llama.cpp. Its older files call them
    /// [`TensorType::Q2_0`].
    Pq2_0,
    /// Ternary, 2 bits; one f32 scale in the last 32 bytes.
    I2S,
}

/// The properties of a type.
struct Facts {
    /// ggml's name.
    name: &'static str,
    /// ggml's number.
    code: u32,
    is_ternary: bool,
    /// Elements and bytes of a block.
    block: (usize, usize),
}

impl TensorType {
    /// Every type.
    pub const ALL: [TensorType; 11] = [
        TensorType::F32,
        TensorType::F16,
        TensorType::Bf16,
        TensorType::Q4_0,
        TensorType::Q8_0,
        TensorType::Q6K,
        TensorType::Tq1_0,
        TensorType::Tq2_0,
        TensorType::Q2_0,
        TensorType::Pq2_0,
        TensorType::I2S,
    ];

    /// The one table of the types.
    const fn facts(self) -> Facts {
        /// Elements and bytes of a block of floats.
        const fn floats(kind: BlockKind) -> (usize, usize) {
            (kind.elements(), kind.bytes())
        }
        let (name, code, is_ternary, block) = match self {
            TensorType::F32 => ("F32", 0, false, (1, 4)),
            TensorType::F16 => ("F16", 1, false, (1, 2)),
            TensorType::Bf16 => ("BF16", 30, false, (1, 2)),
            TensorType::Q4_0 => ("Q4_0", 2, false, floats(BlockKind::Q4_0)),
            TensorType::Q8_0 => ("Q8_0", 8, false, floats(BlockKind::Q8_0)),
            TensorType::Q6K => ("Q6_K", 14, false, floats(BlockKind::Q6K)),
            TensorType::Tq1_0 => ("TQ1_0", 34, true, (256, 48 + 4 + 2)),
            TensorType::Tq2_0 => ("TQ2_0", 35, true, (256, 64 + 2)),
            TensorType::Q2_0 => ("Q2_0", 42, true, (64, 2 + 16)),
            TensorType::Pq2_0 => ("PQ2_0", 142, true, (128, 2 + 32)),
            TensorType::I2S => ("I2_S", 36, true, (128, 32)),
        };
        Facts { name, code, is_ternary, block }
    }

    /// Returns ggml's number.
    pub(super) fn code(self) -> u32 {
        self.facts().code
    }

    /// Returns ggml's name.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Returns elements and bytes of a block.
    pub(super) fn block(self) -> (usize, usize) {
        self.facts().block
    }

    /// Returns the elements of a block.
    pub(crate) fn block_elements(self) -> usize {
        self.block().0
    }

    /// Returns true if the elements are -1, 0 and 1 times a scale.
    pub fn is_ternary(self) -> bool {
        self.facts().is_ternary
    }

    /// Returns the bytes of a tensor of `shape`, or `None` if the type cannot have this shape.
    pub(super) fn bytes(self, shape: &[usize]) -> Option<usize> {
        let (elements, bytes) = self.block();
        let total = shape.iter().try_fold(1usize, |product, n| product.checked_mul(*n))?;
        // Blocks of I2_S run over the whole tensor, blocks of the other types over one row.
        let run = if self == TensorType::I2S { total } else { shape.last().copied().unwrap_or(1) };
        let tail = if self == TensorType::I2S { 32 } else { 0 };
        run.is_multiple_of(elements).then_some(())?;
        (total / elements).checked_mul(bytes)?.checked_add(tail)
    }
}

/// One tensor.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// The type, or the file's number if this version cannot read the type.
    pub(super) kind: Result<TensorType, u32>,
    /// The last dimension varies fastest, as in safetensors. The file has the reverse order.
    pub(super) shape: Vec<usize>,
    /// Place in the file. Empty if the type is unknown.
    pub(super) range: Range<usize>,
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
    let kind = TensorType::ALL.into_iter().find(|kind| kind.code() == code).ok_or(code);
    let start = usize::try_from(cursor.u64(name)?).map_err(|_| too_large(cursor, name))?;
    let size = match kind {
        Err(_) => 0,
        Ok(kind) => kind.bytes(&shape).ok_or_else(|| {
            cursor.malformed(name, format!("{} cannot have the shape {shape:?}", kind.name()))
        })?,
    };
    let end = start.checked_add(size).ok_or_else(|| too_large(cursor, name))?;
    Ok((name, Tensor { kind, shape, range: start..end }))
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
