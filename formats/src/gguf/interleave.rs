//! The order of the rows of query and key matrices.
//!
//! The rotary embedding turns pairs of rows of a head. In transformers, row i pairs with row i +
//! half of the head. For the architecture `llama`, llama.cpp's converter makes the two rows of a
//! pair neighbours. A head of six rows:
//!
//! ```text
//! transformers   0 1 2 3 4 5
//! llama.cpp      0 3 1 4 2 5
//! ```

/// Returns the `n` rows of `heads` heads in transformers' order, or `None` if a head has no halves.
pub(super) fn undo<T: Copy>(rows: &[T], n: usize, heads: usize) -> Option<Vec<T>> {
    reorder(rows, n, heads, |row, half| 2 * (row % half) + row / half)
}

/// Returns the `n` rows of `heads` heads in llama.cpp's order, or `None` if a head has no halves.
pub(super) fn apply<T: Copy>(rows: &[T], n: usize, heads: usize) -> Option<Vec<T>> {
    reorder(rows, n, heads, |row, half| half * (row % 2) + row / 2)
}

/// Moves row `from(i, half)` of each head to row i.
fn reorder<T: Copy>(
    rows: &[T],
    n: usize,
    heads: usize,
    from: impl Fn(usize, usize) -> usize,
) -> Option<Vec<T>> {
    let half = n.checked_div(heads.checked_mul(2)?).filter(|half| *half > 0 && 2 * half * heads == n)?;
    let width = rows.len() / n;
    let row = |row: usize| {
        let start = row / (2 * half) * (2 * half) + from(row % (2 * half), half);
        &rows[start * width..][..width]
    };
    Some((0..n).flat_map(row).copied().collect())
}
