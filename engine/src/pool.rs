//! The threads that share the work of a forward pass.

use tercet_codegen::{ColumnsMut, Element};

use crate::error::{Error, Result};

/// Starts a pool of `threads` threads.
///
/// # Errors
/// Fails if the number is 0 or more than 1024, or the system cannot start the threads.
pub(crate) fn start(threads: usize) -> Result<tercet_pool::Pool> {
    const MOST: usize = 1024;
    if !(1..=MOST).contains(&threads) {
        return Err(Error::bad_argument("threads", format!("{threads} is out of range"), "use 1 to 1024"));
    }
    tercet_pool::Pool::new(threads).map_err(|e| {
        Error::bad_argument("threads", format!("cannot start {threads} threads: {e}"), "use fewer threads")
    })
}

/// Shares out the columns of `out`: calls `work` for disjoint ranges of columns that cover all of it.
///
/// Every range is a multiple of `grain` columns, except for the last one.
pub(crate) fn for_columns<T: Element>(
    pool: &tercet_pool::Pool,
    out: ColumnsMut<'_, T>,
    grain: usize,
    work: impl Fn(ColumnsMut<'_, T>) + Sync,
) {
    for_columns_of(pool, [out], grain, |_, columns| work(columns));
}

/// Shares out the columns of all `outs` in one job, as [`for_columns`] does. `work` also gets the index
/// of the output.
#[expect(
    unsafe_code,
    reason = "threads write to disjoint columns of one matrix, which slices cannot express"
)]
pub(crate) fn for_columns_of<T: Element, const N: usize>(
    pool: &tercet_pool::Pool,
    outs: [ColumnsMut<'_, T>; N],
    grain: usize,
    work: impl Fn(usize, ColumnsMut<'_, T>) + Sync,
) {
    let tasks = outs.each_ref().map(|out| out.columns().len().div_ceil(grain));
    pool.run_spans(tasks.iter().sum(), |span| {
        let mut first = 0;
        for (which, (out, tasks)) in outs.iter().zip(tasks).enumerate() {
            let (start, end) = (span.start.max(first), span.end.min(first + tasks));
            if start < end {
                let all = out.columns();
                let columns =
                    all.start + (start - first) * grain..all.end.min(all.start + (end - first) * grain);
                // SAFETY:
                // - a task is `grain` columns of one output, and no two tasks share a column;
                // - `run_spans` puts each task into one span, so no two parts share a column;
                // - the outputs are not used while their parts live.
                work(which, unsafe { out.part(columns) });
            }
            first += tasks;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_worked_on_once_at_any_thread_count() {
        for threads in [1, 2, 3, 8] {
            let pool = start(threads).unwrap();
            for widths in [[1, 15], [16, 17], [250, 3], [5, 0]] {
                let [mut a, mut b] = widths.map(|n| vec![0i32; 2 * n]);
                let seen = std::sync::Mutex::new(widths.map(|n| vec![0; n]));
                let outs = [ColumnsMut::new(&mut a, 2, widths[0]), ColumnsMut::new(&mut b, 2, widths[1])];
                for_columns_of(&pool, outs, 16, |which, part| {
                    assert!(part.columns().start.is_multiple_of(16));
                    seen.lock().unwrap()[which][part.columns()].iter_mut().for_each(|times| *times += 1);
                });
                assert_eq!(seen.into_inner().unwrap(), widths.map(|n| vec![1; n]), "{threads} threads");
            }
        }
    }

    #[test]
    fn absurd_counts_are_refused() {
        assert!(start(0).is_err());
        assert!(start(1 << 20).is_err());
    }
}
