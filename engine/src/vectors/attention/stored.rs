//! How keys and values lie in a page.

use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{BLOCK, PAGE};
use crate::vectors::ops;

/// A type of stored keys and values, with its layout of one head in a page.
///
/// The layout has `dim` elements for each key, `dim` for each value, and what else the type needs.
pub(crate) trait Stored: Pod + Default + Send + Sync {
    /// Returns the elements of one head in a page.
    fn of_head(dim: usize) -> usize;

    /// Stores the key and the value of a position at `place` in a head's part of a page.
    fn store(head: &mut [Self], place: usize, key: &[f32], value: &[f32]);
}

/// Elements that are rounded together, an even number.
const PIECE: usize = 64;

/// A float: keys are block × element × place in the block, values are place × element.
trait Float: Pod + Default {
    /// Rounds `x` to the nearest elements. `out` must be as long as `x`.
    fn round(out: &mut [Self], x: &[f32]);
}

impl Float for f16 {
    /// Values beyond the range of a half become the largest half of the same sign.
    fn round(out: &mut [Self], x: &[f32]) {
        for (out, x) in out.chunks_mut(PIECE).zip(x.chunks(PIECE)) {
            let mut within = [0.0; PIECE];
            within.iter_mut().zip(x).for_each(|(within, x)| *within = x.clamp(-65_504.0, 65_504.0));
            out.convert_from_f32_slice(&within[..x.len()]);
        }
    }
}

impl Float for f32 {
    fn round(out: &mut [Self], x: &[f32]) {
        out.copy_from_slice(x);
    }
}

impl<F: Float + Send + Sync> Stored for F {
    fn of_head(dim: usize) -> usize {
        2 * PAGE * dim
    }

    fn store(head: &mut [Self], place: usize, key: &[f32], value: &[f32]) {
        let dim = key.len();
        let (keys, values) = head.split_at_mut(PAGE * dim);
        let block = &mut keys[place / BLOCK * BLOCK * dim..][..BLOCK * dim];
        let mut rounded = [F::default(); PIECE];
        for (key, block) in key.chunks(PIECE).zip(block.chunks_mut(PIECE * BLOCK)) {
            let rounded = &mut rounded[..key.len()];
            F::round(rounded, key);
            for (elements, key) in block.chunks_exact_mut(BLOCK).zip(rounded) {
                elements[place % BLOCK] = *key;
            }
        }
        F::round(&mut values[place * dim..][..dim], value);
    }
}

/// Bytes, with one step for each key and each value.
///
/// Integer dot products read pairs. So keys are block × pair of elements × place in the block × 2, and values are pair of
/// places × element × 2. The steps of the keys and those of the values follow, as the bytes of floats.
impl Stored for i8 {
    fn of_head(dim: usize) -> usize {
        2 * PAGE * dim + 2 * PAGE * size_of::<f32>()
    }

    fn store(head: &mut [Self], place: usize, key: &[f32], value: &[f32]) {
        let dim = key.len();
        let (keys, rest) = head.split_at_mut(PAGE * dim);
        let (values, steps) = rest.split_at_mut(PAGE * dim);
        let mut write_step = |place: usize, step: f32| {
            let bytes = step.to_ne_bytes().map(|byte| byte as i8);
            steps[place * size_of::<f32>()..][..size_of::<f32>()].copy_from_slice(&bytes);
        };
        let mut rounded = [0; PIECE];
        let factor = ops::int8_factor(key);
        write_step(place, 1.0 / factor);
        let block = &mut keys[place / BLOCK * BLOCK * dim..][..BLOCK * dim];
        for (key, block) in key.chunks(PIECE).zip(block.chunks_mut(PIECE * BLOCK)) {
            ops::quantize_by(&mut rounded, key, factor);
            for (places, pair) in block.chunks_exact_mut(2 * BLOCK).zip(rounded.chunks_exact(2)) {
                places[place % BLOCK * 2..][..2].copy_from_slice(pair);
            }
        }
        let factor = ops::int8_factor(value);
        write_step(PAGE + place, 1.0 / factor);
        let pair = &mut values[place / 2 * 2 * dim..][..2 * dim];
        for (value, pair) in value.chunks(PIECE).zip(pair.chunks_mut(2 * PIECE)) {
            ops::quantize_by(&mut rounded, value, factor);
            pair.chunks_exact_mut(2).zip(rounded).for_each(|(pair, element)| pair[place % 2] = element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_too_large_for_a_half_become_the_largest_half() {
        let rounded = |x: &[f32]| {
            let mut out = vec![f16::ZERO; x.len()];
            f16::round(&mut out, x);
            out
        };
        assert_eq!(rounded(&[1e9, -1e9, 65_519.0, 1.0]), [f16::MAX, f16::MIN, f16::MAX, f16::ONE]);
        assert!(rounded(&[f32::NAN])[0].is_nan());
    }
}
