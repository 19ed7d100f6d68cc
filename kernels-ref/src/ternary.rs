//! Ternary weights: absmean quantization, and the packed format of Hugging Face BitNet checkpoints.

use std::error::Error;
use std::fmt;

/// Quantizes a whole weight matrix to -1, 0 and 1 by its mean magnitude.
///
/// The scale is `s = 1 / max(mean|w|, 1e-5)`, and each weight becomes
/// `t = clamp(round(w · s), -1, 1)`. Halves round to even. Returns the trits and their magnitude
/// `1 / s`, so that `w ≈ t · magnitude`. `weights` must be finite.
///
/// Hugging Face transformers does the same when it quantizes online. Its last bit may differ,
/// because it sums the mean in `f32` in another order. This function sums in `f64`.
///
/// ```
/// use tercet_kernels_ref::ternary::absmean;
///
/// // The mean magnitude is 2. So -1 / 2 rounds to 0, and -2.5 / 2 rounds to -1.
/// assert_eq!(absmean(&[4.0, -1.0, 0.5, -2.5]), (vec![1, 0, 0, -1], 2.0));
/// ```
pub fn absmean(weights: &[f32]) -> (Vec<i8>, f32) {
    let sum: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
    let mean = (sum / weights.len().max(1) as f64) as f32;
    let scale = 1.0 / mean.max(1e-5);
    let trits = weights.iter().map(|w| (w * scale).round_ties_even().clamp(-1.0, 1.0) as i8).collect();
    (trits, 1.0 / scale)
}

/// An error: a two-bit code is 3, which is not the code of a trit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCode {
    /// Row of the code in the unpacked matrix.
    pub row: usize,
    /// Column of the code.
    pub column: usize,
}

impl fmt::Display for InvalidCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight at row {}, column {} has code 3; ternary codes are 0, 1, 2", self.row, self.column)
    }
}

impl Error for InvalidCode {}

/// Packs `n × k` trits into `n/4 × k` bytes, in the format of Hugging Face transformers.
///
/// A trit has the code `trit + 1`, in two bits. The byte at `(r, c)` holds four codes of column `c`:
/// those of rows `r`, `r + n/4`, `r + n/2` and `r + 3n/4`, at bits 0, 2, 4 and 6.
///
/// # Panics
/// Panics if `n` is not a multiple of 4, if `trits` is not `n × k`, or if a value is not a trit.
///
/// ```
/// use tercet_kernels_ref::ternary::{pack, unpack};
///
/// // Four rows of one column.
/// let packed = pack(&[-1, 0, 1, 1], 4, 1);
/// assert_eq!(packed, [0b10_10_01_00]);
/// assert_eq!(unpack(&packed, 4, 1), Ok(vec![-1, 0, 1, 1]));
/// ```
pub fn pack(trits: &[i8], n: usize, k: usize) -> Vec<u8> {
    assert!(n.is_multiple_of(4), "n is a multiple of 4");
    assert_eq!(trits.len(), n * k, "trits are n × k");
    assert!(trits.iter().all(|t| (-1..=1).contains(t)), "trits are -1, 0, 1");
    let quarter = n / 4 * k;
    let code = |at: usize| (trits[at] + 1) as u8;
    (0..quarter)
        .map(|at| {
            code(at) | code(at + quarter) << 2 | code(at + 2 * quarter) << 4 | code(at + 3 * quarter) << 6
        })
        .collect()
}

/// Unpacks the format of [`pack`]: `n/4 × k` bytes become `n × k` trits.
///
/// # Errors
/// Returns the position of the first code of 3, in order of rows.
///
/// # Panics
/// Panics if `n` is not a multiple of 4, or if `packed` is not `n/4 × k`.
///
/// ```
/// use tercet_kernels_ref::ternary::unpack;
///
/// let error = unpack(&[0b00_11_00_00], 4, 1).unwrap_err();
/// assert_eq!((error.row, error.column), (2, 0));
/// ```
pub fn unpack(packed: &[u8], n: usize, k: usize) -> Result<Vec<i8>, InvalidCode> {
    assert!(n.is_multiple_of(4), "n is a multiple of 4");
    assert_eq!(packed.len(), n / 4 * k, "packed weights are n/4 × k");
    let mut trits = Vec::with_capacity(n * k);
    for shift in [0, 2, 4, 6] {
        for byte in packed {
            let code = byte >> shift & 3;
            if code == 3 {
                return Err(InvalidCode { row: trits.len() / k, column: trits.len() % k });
            }
            trits.push(code as i8 - 1);
        }
    }
    Ok(trits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absmean_rounds_halves_to_even_and_clamps() {
        let (trits, magnitude) = absmean(&[0.5, -0.5, 1.5, -1.5, 0.75, -0.75, 2.5, 0.0]);
        assert_eq!(trits, [0, 0, 1, -1, 1, -1, 1, 0]);
        assert_eq!(magnitude, 1.0);
    }

    #[test]
    fn absmean_scales_by_the_mean_magnitude() {
        assert_eq!(absmean(&[4.0, -1.0, 0.5, -2.5]), (vec![1, 0, 0, -1], 2.0));
    }

    #[test]
    fn absmean_of_nearly_nothing_is_clamped() {
        let (trits, magnitude) = absmean(&[0.0, 4e-6, 6e-6]);
        assert_eq!(trits, [0, 0, 1]);
        assert!((magnitude - 1e-5).abs() < 1e-11);
        assert!(absmean(&[]).0.is_empty());
    }

    #[test]
    fn a_byte_holds_four_rows_a_quarter_apart() {
        let trits = [-1, 0, 1, 1, 0, -1, 1, 0, -1, -1, 1, 0, 0, 0, 1, -1];
        let packed = [0b01_00_01_00, 0b01_00_00_01, 0b10_10_10_10, 0b00_01_01_10];
        assert_eq!(pack(&trits, 4, 4), packed);
        assert_eq!(unpack(&packed, 4, 4), Ok(trits.to_vec()));
    }

    #[test]
    fn rows_interleave_across_the_matrix() {
        let rows = [[-1], [0], [0], [1], [1], [-1], [0], [0]].concat();
        assert_eq!(pack(&rows, 8, 1), [0b01_10_01_00, 0b01_00_10_01]);
        assert_eq!(unpack(&pack(&rows, 8, 1), 8, 1), Ok(rows));
    }

    #[test]
    fn code_three_is_refused_with_its_place() {
        let packed = [0, 0, 0, 0b00_11_00_00];
        assert_eq!(unpack(&packed, 8, 2), Err(InvalidCode { row: 5, column: 1 }));
    }
}
