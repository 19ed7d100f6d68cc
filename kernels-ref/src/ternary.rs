//! Ternary weights: absmean quantization, and the packed format of Hugging Face BitNet checkpoints.

use std::error::Error;
use std::fmt;

/// Quantizes a whole weight matrix to -1, 0, 1 by its mean magnitude, as Hugging Face transformers does online.
///
/// `s = 1 / max(mean|w|, 1e-5)`, `t = clamp(round(w · s), -1, 1)`, halves to even. Returns the trits and the
/// magnitude `1 / s` that a trit stands for: `w ≈ t · magnitude`. `weights` must be finite.
///
/// The mean is summed in `f64`; transformers sums in `f32` in an order of its own, so the last bit may differ.
pub fn absmean(weights: &[f32]) -> (Vec<i8>, f32) {
    let sum: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
    let mean = (sum / weights.len().max(1) as f64) as f32;
    let scale = 1.0 / mean.max(1e-5);
    let trits = weights.iter().map(|w| (w * scale).round_ties_even().clamp(-1.0, 1.0) as i8).collect();
    (trits, 1.0 / scale)
}

/// A two-bit code of 3, which stands for no trit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCode {
    /// Row of the unpacked matrix.
    pub row: usize,
    /// Column of the matrix.
    pub column: usize,
}

impl fmt::Display for InvalidCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight at row {}, column {} has code 3; ternary codes are 0, 1, 2", self.row, self.column)
    }
}

impl Error for InvalidCode {}

/// Packs `n × k` trits as Hugging Face transformers does: `n/4 × k` bytes.
///
/// The byte at `(r, c)` holds the codes `trit + 1` of rows `r`, `r + n/4`, `r + n/2`, `r + 3n/4` of column `c`
/// at bits 0, 2, 4, 6.
///
/// # Panics
/// If `n` is no multiple of 4, `trits` is not `n × k`, or a value is not a trit.
pub fn pack(trits: &[i8], n: usize, k: usize) -> Vec<u8> {
    assert!(n.is_multiple_of(4), "rows are packed by fours");
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

/// Unpacks what [`pack`] wrote: `n/4 × k` bytes to `n × k` trits.
///
/// # Errors
/// The first code of 3, in order of rows.
///
/// # Panics
/// If `n` is no multiple of 4 or `packed` is not `n/4 × k`.
pub fn unpack(packed: &[u8], n: usize, k: usize) -> Result<Vec<i8>, InvalidCode> {
    assert!(n.is_multiple_of(4), "rows are packed by fours");
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
