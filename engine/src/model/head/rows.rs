//! Rows of a head, quantized for [planes](super::planes), with norms for [bounds](super::bounds).

use tercet_formats::Floats;

use super::planes::LOW_PLANES;
use crate::vectors::estimate::SLACK;
use crate::vectors::ops;

/// Steps of the high plane and of each low plane.
pub(super) const STEPS: [f32; 1 + LOW_PLANES] = [9.0, 3.0, 1.0];
/// The step of a plane alone.
const LONE_STEP: f32 = 1.0;

/// The largest 9·h + 3·t + u: h = 7 and t = u = 1.
const LARGEST: i8 = 67;
/// The largest weight of a plane alone, which has seven bits.
const LONE_LARGEST: i8 = 63;

/// One row's part of the bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowBound {
    /// s.
    scale: f32,
    /// An upper bound of ‖w‖ and ‖9·s·h‖.
    norm: f32,
    /// Upper bounds of the error's norm, with no low plane, with one and with both.
    errors: [f32; 1 + LOW_PLANES],
}

impl RowBound {
    /// Bytes of a bound in a packed file.
    pub(super) const BYTES: usize = 20;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [none, one, both] = self.errors;
        let floats = [self.scale, self.norm, none, one, both].map(f32::to_le_bytes);
        std::array::from_fn(|i| floats[i / 4][i % 4])
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let float = |i: usize| f32::from_le_bytes(std::array::from_fn(|j| bytes[4 * i + j]));
        RowBound { scale: float(0), norm: float(1), errors: std::array::from_fn(|i| float(2 + i)) }
    }
}

/// The bounds of all rows, each number in a list of its own, so that vectors compute them.
#[derive(Debug)]
pub(super) struct RowBounds {
    /// The step of the high plane.
    pub(super) high_step: f32,
    pub(super) scales: Vec<f32>,
    pub(super) norms: Vec<f32>,
    pub(super) errors: [Vec<f32>; 1 + LOW_PLANES],
}

impl RowBounds {
    /// Arranges the bounds of rows that were quantized with this number of low planes.
    pub(super) fn new(rows: Vec<RowBound>, low_planes: usize) -> Self {
        RowBounds {
            high_step: if low_planes == 0 { LONE_STEP } else { STEPS[0] },
            scales: rows.iter().map(|row| row.scale).collect(),
            norms: rows.iter().map(|row| row.norm).collect(),
            errors: std::array::from_fn(|i| rows.iter().map(|row| row.errors[i]).collect()),
        }
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// Returns the bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.len() * RowBound::BYTES
    }

    /// Returns each row's part.
    pub(super) fn iter(&self) -> impl Iterator<Item = RowBound> {
        let errors = |i| self.errors.each_ref().map(|errors: &Vec<f32>| errors[i]);
        let rows = self.scales.iter().zip(&self.norms).enumerate();
        rows.map(move |(i, (&scale, &norm))| RowBound { scale, norm, errors: errors(i) })
    }
}

/// Quantizes rows.
pub(super) struct Quantizer {
    k: usize,
    /// The weights of each plane, row after row.
    pub(super) planes: Vec<Vec<i8>>,
    row: Vec<f32>,
    /// The row in steps of the planes so far.
    sums: Vec<i8>,
}

impl Quantizer {
    /// Returns a quantizer for `rows` rows, `k` wide.
    pub(super) fn new(k: usize, rows: usize, low_planes: usize) -> Self {
        Quantizer { k, planes: vec![vec![0; rows * k]; 1 + low_planes], row: vec![0.0; k], sums: vec![0; k] }
    }

    /// Quantizes `row` as row `index` of each plane.
    pub(super) fn quantize(&mut self, row: Floats<'_>, index: usize) -> RowBound {
        let Self { k, planes, row: w, sums } = self;
        let range = index * *k..(index + 1) * *k;
        let is_lone = planes.len() == 1;
        row.read(0, w);
        let largest = if is_lone { LONE_LARGEST } else { LARGEST };
        let scale = ops::largest(w) / f32::from(largest);
        if !(scale > 0.0 && scale.is_finite()) {
            // 0 for a row of zeros; otherwise NaN, which says nothing.
            let norm = scale * 0.0;
            return RowBound { scale: 0.0, norm, errors: [norm; 1 + LOW_PLANES] };
        }
        ops::quantize_weights(sums, w, scale, largest);
        let mut errors = [0.0; 1 + LOW_PLANES];
        let mut high_step = LONE_STEP;
        // From the finest plane to the coarsest.
        for plane in (1..planes.len()).rev() {
            errors[plane] = ops::quantized_norms(sums, w, STEPS[plane] * scale).1;
            high_step = STEPS[plane - 1];
            for (trit, sum) in planes[plane][range.clone()].iter_mut().zip(&mut *sums) {
                let rest = third(*sum);
                (*trit, *sum) = (*sum - 3 * rest, rest);
            }
        }
        planes[0][range].copy_from_slice(sums);
        let (product, error) = ops::quantized_norms(sums, w, high_step * scale);
        errors[0] = error;
        let norm = ((product.sqrt() + error.sqrt()) * SLACK) as f32;
        RowBound { scale, norm, errors: errors.map(|error| (error.sqrt() * SLACK) as f32) }
    }
}

/// Returns a third of `sum`, rounded. The largest difference is 1.
fn third(sum: i8) -> i8 {
    ((i32::from(sum) * 171 + 256) >> 9) as i8
}
