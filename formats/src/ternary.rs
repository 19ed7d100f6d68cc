//! Ternary matrices, and their recognition in floats.

use tercet_kernels_ref::ternary;

use super::Floats;

/// A ternary matrix. Every weight is its trit times its scale.
///
/// # Examples
/// ```
/// use tercet_formats::{Scales, Ternary};
///
/// let matrix = Ternary::absmean(&[1.0, -1.0, 0.25, 1.75]);
/// assert_eq!(matrix.trits, [1, -1, 0, 1]);
/// assert_eq!(matrix.scales, Scales::Tensor(1.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ternary {
    /// -1, 0 and 1, row-major.
    pub trits: Vec<i8>,
    /// The factors of the trits.
    pub scales: Scales,
}

/// The scales of a ternary matrix, finite and not negative.
#[derive(Clone, Debug, PartialEq)]
pub enum Scales {
    /// One scale for all weights.
    Tensor(f32),
    /// One scale for every `size` consecutive weights of a row: n × ⌈k / size⌉, row-major.
    Groups {
        /// Number of weights that share a scale.
        size: usize,
        /// The scales.
        values: Vec<f32>,
    },
}

impl Ternary {
    /// Returns a matrix with one scale.
    pub(super) fn of(trits: Vec<i8>, scale: f32) -> Self {
        Ternary { trits, scales: Scales::Tensor(scale) }
    }

    /// Rounds finite `weights` to the nearest trits of their mean magnitude, like transformers in
    /// online mode.
    pub fn absmean(weights: &[f32]) -> Self {
        let (trits, magnitude) = ternary::absmean(weights);
        Self::of(trits, magnitude)
    }

    /// Returns the matrix of floats that are ternary already, in rows of `k`.
    ///
    /// Such floats have one magnitude besides 0: in the whole matrix, in each row, or in each group
    /// of 256, 128, 64 or 32 of a row. Returns `None` for other floats.
    pub(super) fn exact(weights: Floats<'_>, k: usize) -> Option<Self> {
        let rows = weights.len().checked_div(k)?;
        let whole = Self::grouped(weights, k, rows * k)
            .map(|(trits, values)| Self::of(trits, values.first().copied().unwrap_or_default()));
        whole.or_else(|| {
            [k, 256, 128, 64, 32].into_iter().filter(|&size| size <= k).find_map(|size| {
                let (trits, values) = Self::grouped(weights, k, size)?;
                Some(Ternary { trits, scales: Scales::Groups { size, values } })
            })
        })
    }

    /// Returns trits, and the magnitude of every `size` weights. A group lies within a row, or is
    /// the whole matrix.
    fn grouped(weights: Floats<'_>, k: usize, size: usize) -> Option<(Vec<i8>, Vec<f32>)> {
        let (mut trits, mut values) = (Vec::new(), Vec::new());
        let mut row = vec![0.0; k];
        let mut magnitude = 0.0;
        for start in (0..weights.len()).step_by(k) {
            weights.read(start, &mut row);
            for group in row.chunks(size) {
                if size <= k {
                    magnitude = 0.0;
                }
                for &weight in group {
                    if magnitude == 0.0 {
                        magnitude = weight.abs();
                    }
                    if !weight.is_finite() || weight != 0.0 && weight.abs() != magnitude {
                        return None;
                    }
                    trits.push(if weight > 0.0 { 1 } else { -i8::from(weight < 0.0) });
                }
                if size <= k {
                    values.push(magnitude);
                }
            }
        }
        if size > k {
            values.push(magnitude);
        }
        Some((trits, values))
    }

    /// Multiplies all weights by `factor`.
    pub(super) fn scaled(self, factor: f32) -> Self {
        let scales = match self.scales {
            Scales::Tensor(scale) => Scales::Tensor(scale * factor),
            Scales::Groups { size, values } => {
                Scales::Groups { size, values: values.into_iter().map(|value| value * factor).collect() }
            }
        };
        Ternary { scales, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(weights: &[f32], k: usize) -> Option<Ternary> {
        let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        Ternary::exact(Floats::F32(&bytes), k)
    }

    #[test]
    fn ternary_floats_are_found_with_the_fewest_scales() {
        let (trits, scales) = (vec![0, 1, -1, 0], Scales::Tensor(0.5));
        assert_eq!(exact(&[0.0, 0.5, -0.5, -0.0], 2), Some(Ternary { trits, scales }));

        let rows = exact(&[0.0, 0.5, -0.25, 0.25], 2).unwrap();
        assert_eq!(rows.scales, Scales::Groups { size: 2, values: vec![0.5, 0.25] });
        assert_eq!(rows.trits, [0, 1, -1, 1]);

        // Two rows of 96: groups of 64 and 32 weights, the first of which is 0.
        let weight = |i: usize| {
            if i < 64 { 0.0 } else { (1 + i / 64) as f32 * if i.is_multiple_of(3) { -1.0 } else { 1.0 } }
        };
        let groups = exact(&(0..192).map(|i| weight(i / 96 * 128 + i % 96)).collect::<Vec<_>>(), 96).unwrap();
        assert_eq!(groups.scales, Scales::Groups { size: 64, values: vec![0.0, 2.0, 3.0, 4.0] });
        assert_eq!((groups.trits[63], groups.trits[66], groups.trits[67]), (0, -1, 1));
    }

    #[test]
    fn floats_of_two_magnitudes_are_not_ternary() {
        assert_eq!(exact(&[0.5, 0.25, 0.0, 0.0], 2), None);
        assert_eq!(exact(&[0.5, f32::NAN, 0.0, 0.0], 2), None);
        assert_eq!(exact(&[f32::INFINITY; 4], 2), None);
    }
}
