//! Types of stored keys and values.

use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// A type of stored keys and values.
pub(in crate::model) trait Element: Pod + Default + Send + Sync {
    /// Rounds `x` to the nearest elements. `out` must be as long as `x`.
    fn round(out: &mut [Self], x: &[f32]);
}

impl Element for f16 {
    /// Values beyond the range of a half become the largest half of the same sign.
    fn round(out: &mut [Self], x: &[f32]) {
        const PIECE: usize = 64;
        for (out, x) in out.chunks_mut(PIECE).zip(x.chunks(PIECE)) {
            let mut within = [0.0; PIECE];
            within.iter_mut().zip(x).for_each(|(within, x)| *within = x.clamp(-65_504.0, 65_504.0));
            out.convert_from_f32_slice(&within[..x.len()]);
        }
    }
}

impl Element for f32 {
    fn round(out: &mut [Self], x: &[f32]) {
        out.copy_from_slice(x);
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
