//! Products that skip columns and rows of W which count for nothing.
//!
//! With ReLU² most gates of a feed-forward block are not positive. Then the row of `up` is multiplied by zero. So is, after
//! rounding, the column of `down`: three quarters of its inputs are zero. What counts for nothing need not be read.
//!
//! # Columns
//! ```text
//! strip   320 rows of W, whose blocks lie one column after the other
//! block   64 bytes: one column of a strip. Each byte holds five rows, as five ternary digits
//! ```
//!
//! A kernel gets a list of columns and visits their blocks in order. It puts four columns together, so that a dword holds
//! one row of each, and adds their dot products with four activations. A strip's sums stay in registers.
//!
//! Let f₀ be a packed byte, and fᵢ₊₁ = 3·fᵢ mod 256. Digit i of the byte is (3·fᵢ - fᵢ₊₁) / 256. Here the digits are
//! rows, which all meet the same activation x. So six sums Fᵢ = Σ fᵢ·x give five rows: row i is (3·Fᵢ - Fᵢ₊₁) / 256.
//! No kernel extracts a digit.
//!
//! # Rows
//! ```text
//! line    320 columns of W
//! block   64 bytes: one row of a line. Byte j holds columns j, 64 + j, 128 + j and so on, as five ternary digits
//! ```
//!
//! A kernel gets a list of rows, and multiplies four at a time by telescoping: A += fᵢ·xᵢ and B += fᵢ₊₁·xᵢ.
//!
//! # Many tokens
//! Few columns and rows count for nothing with all of many tokens. Other kernels unpack rows into bytes, which a
//! [`Gemm`](crate::Gemm) multiplies.

mod column_gemm;
mod column_input;
mod column_matrix;
mod row_gemm;
mod row_input;
mod row_matrix;
#[cfg(test)]
mod samples;
mod unpack;
mod visit;

pub use column_gemm::ColumnGemm;
pub use column_input::ColumnInput;
pub use column_matrix::ColumnMatrix;
pub use row_gemm::RowGemm;
pub use row_input::RowInput;
pub use row_matrix::RowMatrix;
pub(crate) use unpack::UnpackArgs;
pub(crate) use visit::VisitArgs;

use crate::emit::SparseFrame;
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, PackError, Packing};

/// Ternary digits in a byte.
pub(crate) const DIGITS: usize = 5;
/// Rows of a strip.
pub const STRIP_ROWS: usize = DIGITS * BLOCK_BYTES;
/// Columns of a line.
pub const LINE: usize = DIGITS * BLOCK_BYTES;
/// Columns or rows that a kernel takes together.
pub const QUAD: usize = 4;
/// Columns between a column and the prefetch of a later one into the second-level cache. Lists are as much longer.
pub(crate) const FAR: usize = 96;
/// Columns between a column and the prefetch of a later one into the first-level cache.
pub(crate) const NEAR: usize = 12;

/// Rows between a row and the prefetch of a later one into the second-level cache. Lists are that much longer.
pub(crate) const ROWS_FAR: usize = 24;
/// Rows between a row and the prefetch of a later one into the first-level cache.
pub(crate) const ROWS_NEAR: usize = 4;

/// Returns the kernels of `isa` that skip.
///
/// # Panics
/// If [`ColumnGemm::exists_for`] is false.
fn frame(isa: Isa) -> &'static SparseFrame {
    isa.row().frame.sparse.as_ref().expect("the ISA has kernels that skip")
}

/// Returns the row, of 64 rows with the same digit, whose digits are in byte `byte` of a block.
///
/// Kernels interleave the bytes of four columns within 16 bytes. Bytes 16·l + 4·u + i of a block end up as dword 4·l + i of
/// vector u, and consecutive dwords are consecutive rows.
pub(crate) const fn row_of_byte(byte: usize) -> usize {
    let (l, u, i) = (byte / 16, byte / 4 % 4, byte % 4);
    16 * u + 4 * l + i
}

/// Writes the numbers of the elements that count, times `unit`, to `list`.
fn list_counting<T>(elements: &[T], unit: usize, list: &mut Vec<u32>, counts: impl Fn(&T) -> bool) {
    const CHUNK: usize = 64;
    list.clear();
    for (chunk, first) in elements.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let (mut found, mut count) = ([0; CHUNK], 0);
        // Written without a branch, which the CPU could not predict.
        for (i, element) in chunk.iter().enumerate() {
            found[count] = ((first + i) * unit) as u32;
            count += usize::from(counts(element));
        }
        list.extend_from_slice(&found[..count]);
    }
}

/// Requires n × k ternary weights.
fn check_ternary(n: usize, k: usize, weights: &[i8]) -> Result<(), PackError> {
    if n.checked_mul(k) != Some(weights.len()) {
        return Err(PackError::Length { n, k, found: weights.len() });
    }
    match weights.iter().position(|weight| !(-1..=1).contains(weight)) {
        Some(at) => {
            let (row, column, value) = (at / k, at % k, weights[at]);
            Err(PackError::Weight { packing: Packing::Trits5, row, column, value })
        }
        None => Ok(()),
    }
}
