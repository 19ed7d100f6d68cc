//! Writes a GGUF file.

mod architecture;
mod losses;
mod vocabulary;

use std::fs::File;
use std::path::Path;

use half::f16;

use super::{Converted, Source, f32_bytes, write_tensors};
use crate::config::{Role, Tensor};
use crate::error::{Error, Result};
use crate::{Floats, GgufHeader, ROPE_FACTORS, Scales, TensorType, Ternary, encode_ternary};

/// One tensor of the new file.
struct Entry {
    /// transformers' name.
    name: String,
    role: Role,
    kind: TensorType,
}

/// Writes the model of `source` to `file`, with ternary matrices of type `kind`. Messages call the file
/// `path`.
pub(super) fn write(source: &Source<'_>, file: &File, path: &Path, kind: TensorType) -> Result<Converted> {
    let mut header = GgufHeader::default();
    let dialect = architecture::describe(source, kind, &mut header)?;
    let mut losses: Vec<String> = losses::of_architecture(&source.config, dialect).into_iter().collect();
    losses.extend(vocabulary::describe(source, &mut header)?);
    let rope_factors = architecture::rope_factors(source);
    let entries = source.tensors.iter().map(|tensor| entry(source, tensor, kind));
    let mut entries = entries.collect::<Result<Vec<_>>>()?;
    entries.extend(rope_factors.iter().map(|factors| Entry {
        name: ROPE_FACTORS.to_owned(),
        role: Role::Vector(factors.len()),
        kind: TensorType::F32,
    }));
    for Entry { name, role, kind } in &entries {
        let shape = role.shape();
        if !header.tensor(name, &shape, *kind) {
            let found = format!("{} of shape {shape:?}", kind.name());
            let expected = "a tensor that GGUF has (rows of a multiple of 256 for TQ1_0 and TQ2_0, of 64 for Q2_0: try the type i2_s)";
            return Err(Error::unsupported(source.files.name(), name, found, expected));
        }
    }
    let mut rounding = 0f32;
    write_tensors(file, path, &header.bytes(), entries.len(), GgufHeader::ALIGNMENT, |i| {
        let Entry { name, role, kind } = &entries[i];
        match *role {
            Role::Vector(_) if name == ROPE_FACTORS => {
                Ok(f32_bytes(rope_factors.as_deref().unwrap_or_default()))
            }
            Role::Vector(len) => source.vector(name, len),
            Role::Dense(n, k) | Role::Table(n, k) => match source.checkpoint.floats(name, n, k)?.get() {
                Floats::Blocks(_, bytes) => Ok(bytes.to_vec()),
                _ => source.plain_floats(name, n, k),
            },
            Role::Ternary(n, k) => {
                let matrix = source.checkpoint.ternary(name, n, k)?;
                let (scales, change) =
                    scales(&matrix, k, *kind).ok_or_else(|| unfit(source, name, &matrix, *kind))?;
                rounding = rounding.max(change);
                let heads = if dialect.interleaved { source.config.rotated_heads(name) } else { None };
                Ok(encode_ternary(*kind, &matrix.trits, n, &scales, heads))
            }
        }
    })?;
    Ok(Converted { tensors: entries.len(), rounding, losses })
}

fn entry(source: &Source<'_>, tensor: &Tensor, ternary: TensorType) -> Result<Entry> {
    let Tensor { name, role, .. } = tensor;
    let kind = match *role {
        Role::Vector(_) => TensorType::F32,
        Role::Ternary(..) => ternary,
        Role::Dense(n, k) | Role::Table(n, k) => {
            let floats = source.checkpoint.floats(name, n, k)?.get().kind();
            TensorType::of_floats(floats).ok_or_else(|| {
                Error::unsupported(source.files.name(), name, format!("{floats:?}"), "a type that GGUF has")
            })?
        }
    };
    Ok(Entry { name: name.clone(), role: *role, kind })
}

/// Returns the scales that a matrix of type `kind` with `k` columns stores, and the largest
/// relative change of one by rounding. Returns `None` if the type cannot hold the scales.
fn scales(matrix: &Ternary, k: usize, kind: TensorType) -> Option<(Vec<f32>, f32)> {
    let block = kind.block_elements();
    let scales = match (&matrix.scales, kind) {
        (Scales::Tensor(scale), TensorType::I2S) => return Some((vec![*scale], 0.0)),
        (Scales::Tensor(scale), _) => vec![*scale; matrix.trits.len() / block],
        (Scales::Groups { .. }, TensorType::I2S) => return None,
        (Scales::Groups { size, values }, _) if size.is_multiple_of(block) => {
            let of_row =
                |row: &[f32]| (0..k).step_by(block).map(|column| row[column / size]).collect::<Vec<_>>();
            values.chunks(k.div_ceil(*size)).flat_map(of_row).collect()
        }
        (Scales::Groups { .. }, _) => return None,
    };
    let change = |scale: &f32| match f16::from_f32(*scale).to_f32() {
        rounded if rounded == *scale => 0.0,
        rounded => ((rounded - scale) / scale).abs(),
    };
    let change = scales.iter().map(change).fold(0.0, f32::max);
    // A scale beyond the range of f16 becomes 0 or infinite, or loses most of its bits.
    (change < 0.01).then_some((scales, change))
}

fn unfit(source: &Source<'_>, name: &str, matrix: &Ternary, kind: TensorType) -> Error {
    let found = match &matrix.scales {
        Scales::Tensor(scale) => format!("scaled by {scale}"),
        Scales::Groups { size, .. } => format!("scaled in groups of {size}"),
    };
    let expected = match kind {
        TensorType::I2S => "one scale for the whole matrix (try the type q2_0)",
        TensorType::Q2_0 => "scales within the range of f16, for multiples of 64 weights",
        _ => "scales within the range of f16, for multiples of 256 weights (try the type i2_s or q2_0)",
    };
    Error::unsupported(source.files.name(), name, found, expected)
}
