//! Errors of packing.

use super::{MAX_K, Packing};

/// Why weights cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The slice is not n × k.
    #[error("{found} weights given for a {n} x {k} matrix")]
    Length {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
        /// Length of the slice.
        found: usize,
    },
    /// An empty matrix, or one wider than [`MAX_K`].
    #[error("cannot pack a {n} x {k} matrix: n must be at least 1 and k between 1 and {MAX_K}")]
    Shape {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
    },
    /// The system refuses the memory for the packed matrix.
    #[error("a packed matrix takes {bytes} bytes, more than the system gives")]
    Memory {
        /// Bytes of the matrix.
        bytes: usize,
    },
    /// A weight outside the range of the packing.
    #[error("weight {value} at row {row}, column {column} is none that a {packing} matrix can hold")]
    Weight {
        /// The packing.
        packing: Packing,
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        column: usize,
        /// Its value.
        value: i8,
    },
    /// An interleave outside [`Layout::INTERLEAVES`](super::Layout::INTERLEAVES).
    #[error("{0} panels in a row block: expected 1, 2, 4 or 8")]
    Interleave(usize),
}

impl PackError {
    /// Returns the same error for a matrix with `rows` more rows above.
    pub(super) fn below(self, rows: usize) -> Self {
        match self {
            PackError::Weight { packing, row, column, value } => {
                PackError::Weight { packing, row: rows + row, column, value }
            }
            other => other,
        }
    }
}
