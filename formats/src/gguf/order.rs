//! The order of the codes in I2_S.
//!
//! bitnet.cpp writes I2_S in an order that depends on how it was compiled, and nothing in the file
//! names the order. The weights do: training makes a column of a matrix denser if the norm before the
//! matrix has a large gain for it. In a wrong order, columns and gains match by chance only.

use super::read::own_name;
use super::ternary::unpack_pairs;
use super::{GgufFile, TensorType};
use crate::Checkpoint;
use crate::config::Part;

/// Shifts of the four planes of codes within their bytes.
pub(super) const SHIFTS: [u32; 4] = [6, 4, 2, 0];

/// An order of the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// x86, Microsoft's files and the Python converters: blocks of 128, four planes of 32.
    Blocks128,
    /// AArch64: blocks of 64, four planes of 16.
    Blocks64,
    /// x86 without `ACT_PARALLEL`: a byte has the codes of one column in four rows.
    FourRows,
}

impl Order {
    /// Unpacks the codes of whole blocks, or of four times as many rows of `k`.
    pub(super) fn unpack(self, codes: &[u8], k: usize, trits: &mut [i8]) {
        let plane = match self {
            Order::FourRows if k > 0 && trits.len().is_multiple_of(4 * k) => k,
            Order::Blocks64 => 16,
            Order::Blocks128 | Order::FourRows => 32,
        };
        unpack_pairs(codes, plane, SHIFTS, trits);
    }

    /// Returns the order of the I2_S tensors of `file`: the usual one, unless another one fits the
    /// weights much better.
    pub(super) fn of(file: &GgufFile) -> Self {
        // The sum of some tens of squares of normal deviates exceeds this once in 10¹⁴ files.
        const MARGIN: f32 = 100.0;
        let usual = evidence(file, Order::Blocks128);
        let others = [Order::Blocks64, Order::FourRows].map(|order| (evidence(file, order), order));
        let (best, order) = if others[0].0 > others[1].0 { others[0] } else { others[1] };
        if best > 2.0 * usual + MARGIN { order } else { Order::Blocks128 }
    }
}

/// Matrices, each with the norm before it.
const PAIRS: [(Part, Part); 7] = [
    (Part::Query, Part::AttentionNorm),
    (Part::Key, Part::AttentionNorm),
    (Part::Value, Part::AttentionNorm),
    (Part::Output, Part::AttentionSubNorm),
    (Part::Gate, Part::FfnNorm),
    (Part::Up, Part::FfnNorm),
    (Part::Down, Part::FfnSubNorm),
];

/// Returns the sum of squared correlations between the gains of norms and the density of columns, each
/// in units of its deviation by chance.
fn evidence(file: &GgufFile, order: Order) -> f32 {
    /// The first layers are enough.
    const LAYERS: usize = 4;
    let pairs =
        (0..LAYERS).flat_map(|layer| PAIRS.map(|(part, norm)| (part.module(layer), norm.module(layer))));
    pairs.filter_map(|(matrix, norm)| correlation(file, order, &matrix, &norm)).map(|z| z * z).sum()
}

fn correlation(file: &GgufFile, order: Order, matrix: &str, norm: &str) -> Option<f32> {
    /// The first rows are enough, too. A whole number of them is a whole number of blocks.
    const ROWS: usize = 256;
    let tensor = file.tensors.get(&own_name(&format!("{matrix}.weight")))?;
    let [n, k] = tensor.shape[..] else { return None };
    let gains = file.vector(&format!("{norm}.weight"), k).ok()?;
    if tensor.kind != Ok(TensorType::I2S) || n < ROWS || k == 0 {
        return None;
    }
    let mut trits = vec![0; ROWS * k];
    order.unpack(&file.data(tensor)[..ROWS * k / 4], k, &mut trits);
    let mut density = vec![0.0; k];
    for row in trits.chunks_exact(k) {
        density.iter_mut().zip(row).for_each(|(sum, trit)| *sum += f32::from(trit.abs()));
    }
    let deviations = |values: &[f32]| -> Vec<f32> {
        let mean = values.iter().sum::<f32>() / k as f32;
        values.iter().map(|value| value - mean).collect()
    };
    let (gains, density) = (deviations(&gains), deviations(&density));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let product = dot(&gains, &density) / (dot(&gains, &gains) * dot(&density, &density)).sqrt();
    Some(product * (k as f32).sqrt()).filter(|z| z.is_finite())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Bytes, Config, Format, ModelFiles, convert};

    /// Returns the codes of `bytes`, which are in the usual order, in another order.
    fn reordered(bytes: &[u8], k: usize, plane: usize) -> Vec<u8> {
        let mut trits = vec![0; 4 * bytes.len()];
        Order::Blocks128.unpack(bytes, k, &mut trits);
        let blocks = trits.chunks_exact(4 * plane).flat_map(|block| {
            (0..plane)
                .map(|i| (0..4).fold(0, |byte, j| byte | ((block[plane * j + i] + 1) as u8) << SHIFTS[j]))
        });
        blocks.collect()
    }

    #[test]
    fn every_order_is_recognised_by_the_weights() {
        let fairy_tales = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fairy-tales");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        let files = ModelFiles::open(&fairy_tales).unwrap();
        convert(&files, &path, Format::Gguf(TensorType::I2S), false).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let usual = GgufFile::open(Bytes::from(bytes.clone()), "m.gguf").unwrap();
        assert_eq!(Order::of(&usual), Order::Blocks128);

        let (n, k) = {
            let config = Config::load(&files).unwrap();
            (config.hidden_size, config.intermediate_size)
        };
        let name = "model.layers.1.mlp.down_proj.weight";
        let expected = usual.ternary(name, n, k).unwrap();
        for order in [Order::Blocks64, Order::FourRows] {
            let mut bytes = bytes.clone();
            for tensor in usual.tensors.values().filter(|tensor| tensor.kind == Ok(TensorType::I2S)) {
                let k = tensor.shape[1];
                let plane = if order == Order::FourRows { k } else { 16 };
                let codes = &mut bytes[tensor.range.start..tensor.range.end - 32];
                let moved = reordered(codes, k, plane);
                codes.copy_from_slice(&moved);
            }
            let file = GgufFile::open(bytes.into(), "m.gguf").unwrap();
            assert_eq!(Order::of(&file), order);
            assert_eq!(file.ternary(name, n, k).unwrap(), expected, "{order:?}");
        }
    }
}
