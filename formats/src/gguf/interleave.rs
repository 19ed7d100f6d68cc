//! The order of the rows of query and key matrices.
//!
//! The rotary embedding turns pairs of rows of a head: transformers has the second of each in the head's second half,
//! llama.cpp's converter makes the two neighbours for the architecture `llama`.

/// The `n` rows of `heads` heads in transformers' order; none if heads have no halves.
pub(super) fn undo<T: Copy>(rows: &[T], n: usize, heads: usize) -> Option<Vec<T>> {
    reorder(rows, n, heads, |row, half| 2 * (row % half) + row / half)
}

/// The `n` rows of `heads` heads in llama.cpp's order; none if heads have no halves.
pub(super) fn apply<T: Copy>(rows: &[T], n: usize, heads: usize) -> Option<Vec<T>> {
    reorder(rows, n, heads, |row, half| half * (row % 2) + row / 2)
}

/// Takes row `from(i, half)` of its head for row i.
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
