//! To a GGUF file.

mod architecture;
mod vocabulary;

use std::path::Path;

use half::f16;

use super::{Converted, Role, Source, write_tensors};
use crate::error::{Error, Result};
use crate::formats::{BlockKind, Floats, GgufHeader, Scales, TensorType, Ternary, encode_ternary};

/// Weights that share a scale in TQ1_0 and TQ2_0.
const GROUP: usize = 256;

/// One tensor of the file to be.
struct Entry {
    name: String,
    role: Role,
    kind: TensorType,
}

pub(super) fn write(source: &Source<'_>, out: &Path, kind: TensorType) -> Result<Converted> {
    let mut header = GgufHeader::default();
    let interleaved = architecture::describe(source, kind, &mut header)?;
    vocabulary::describe(source, &mut header)?;
    let entries = source.tensors()?.into_iter().map(|(name, role)| entry(source, name, role, kind));
    let entries = entries.collect::<Result<Vec<_>>>()?;
    for Entry { name, role, kind } in &entries {
        let shape = match *role {
            Role::Vector(len) => vec![len],
            Role::Floats(n, k) | Role::Ternary(n, k) => vec![n, k],
        };
        if !header.tensor(name, &shape, *kind) {
            let found = format!("{} of shape {shape:?}", kind.name());
            let expected = "a tensor that GGUF has (rows of 256 for TQ1_0 and TQ2_0: try --type i2_s)";
            return Err(Error::unsupported(source.files.name(), name, found, expected));
        }
    }
    let mut rounding = 0f32;
    write_tensors(out, &header.bytes(), entries.len(), GgufHeader::ALIGNMENT, |i| {
        let Entry { name, role, kind } = &entries[i];
        match *role {
            Role::Vector(len) => source.vector(name, len),
            Role::Floats(n, k) => match source.checkpoint.floats(name, n, k)?.get() {
                Floats::Blocks(_, bytes) => Ok(bytes.to_vec()),
                _ => source.plain_floats(name, n, k),
            },
            Role::Ternary(n, k) => {
                let matrix = source.checkpoint.ternary(name, n, k)?;
                let (scales, change) =
                    scales(&matrix, *kind).ok_or_else(|| unfit(source, name, &matrix, *kind))?;
                rounding = rounding.max(change);
                Ok(encode_ternary(*kind, &matrix.trits, n, &scales, interleaved.heads(name)))
            }
        }
    })?;
    Ok(Converted { tensors: entries.len(), rounding })
}

fn entry(source: &Source<'_>, name: String, role: Role, ternary: TensorType) -> Result<Entry> {
    let kind = match role {
        Role::Vector(_) => TensorType::F32,
        Role::Ternary(..) => ternary,
        Role::Floats(n, k) => match source.checkpoint.floats(&name, n, k)?.get() {
            Floats::F32(_) => TensorType::F32,
            Floats::F16(_) => TensorType::F16,
            Floats::Bf16(_) => TensorType::Bf16,
            Floats::Blocks(BlockKind::Q4_0, _) => TensorType::Q4_0,
            Floats::Blocks(BlockKind::Q8_0, _) => TensorType::Q8_0,
            Floats::Blocks(BlockKind::Q6K, _) => TensorType::Q6K,
        },
    };
    Ok(Entry { name, role, kind })
}

/// The scales that a matrix of type `kind` stores, and by how much rounding changes one at most, relative to it; none if
/// the type cannot hold them.
fn scales(matrix: &Ternary, kind: TensorType) -> Option<(Vec<f32>, f32)> {
    let scales = match (&matrix.scales, kind) {
        (Scales::Tensor(scale), TensorType::I2S) => return Some((vec![*scale], 0.0)),
        (Scales::Tensor(scale), _) => vec![*scale; matrix.trits.len() / GROUP],
        (Scales::Groups { size: GROUP, values }, TensorType::Tq1_0 | TensorType::Tq2_0) => values.clone(),
        (Scales::Groups { .. }, _) => return None,
    };
    let change = |scale: &f32| match f16::from_f32(*scale).to_f32() {
        rounded if rounded == *scale => 0.0,
        rounded => ((rounded - scale) / scale).abs(),
    };
    let change = scales.iter().map(change).fold(0.0, f32::max);
    // A scale that f16 cannot hold at all becomes 0 or infinite, or loses most of its bits.
    (change < 0.01).then_some((scales, change))
}

fn unfit(source: &Source<'_>, name: &str, matrix: &Ternary, kind: TensorType) -> Error {
    let found = match &matrix.scales {
        Scales::Tensor(scale) => format!("scaled by {scale}"),
        Scales::Groups { size, .. } => format!("scaled in groups of {size}"),
    };
    let expected = match kind {
        TensorType::I2S => "one scale for the whole matrix (try --type tq2_0)",
        _ => "a scale within the range of f16, or for every 256 weights (try --type i2_s)",
    };
    Error::unsupported(source.files.name(), name, found, expected)
}
