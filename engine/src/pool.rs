//! The threads that share the work of a forward pass.

use std::ops::Deref;

use tercet_codegen::{ColumnsMut, Element};
use tercet_cpu::numa::Spread;
use tercet_pool::Pool;

use crate::error::{Error, Result};

/// The threads of a computation that its caller may cancel. Tasks that start later than the wish are skipped, so that
/// outputs are valid only if [`Team::check`] succeeds afterwards.
#[derive(Clone, Copy)]
pub(crate) struct Team<'a> {
    pool: &'a Pool,
    /// Once true, it stays true.
    cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Team<'a> {
    /// Returns the threads of `pool` for a computation that runs to its end.
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Team { pool, cancelled: &|| false }
    }

    /// Returns the threads of `pool` for a computation that ends once `cancelled` returns true.
    pub(crate) fn until(pool: &'a Pool, cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Team { pool, cancelled }
    }

    /// Returns true if the caller no longer wants the result.
    pub(crate) fn is_cancelled(&self) -> bool {
        (self.cancelled)()
    }

    /// # Errors
    /// [`Error::Cancelled`] if the caller no longer wants the result.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl Deref for Team<'_> {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        self.pool
    }
}

/// Returns the columns that are worked on between two looks at the caller's wish, a multiple of `unit`: they take a
/// millisecond or two, and 100 on the slowest machines. An element takes `depth` multiply-adds.
pub(crate) fn between_looks(tokens: usize, depth: usize, unit: usize) -> usize {
    const MULTIPLY_ADDS: usize = 1 << 26;
    (MULTIPLY_ADDS / (tokens * depth).max(1)).max(1).next_multiple_of(unit)
}

/// Starts a pool of `threads` threads, or of as many as the system can start. They spread what they pack over the nodes of
/// the machine's memory.
///
/// # Errors
/// Fails if the number is 0 or more than 1024.
pub(crate) fn start(threads: usize) -> Result<Pool> {
    const MOST: usize = 1024;
    if !(1..=MOST).contains(&threads) {
        return Err(Error::bad_argument("threads", format!("{threads} is out of range"), "use 1 to 1024"));
    }
    let _spread = Spread::begin();
    Ok(Pool::up_to(threads).0)
}

/// Shares out the columns of `out`: calls `work` for disjoint ranges of columns that cover all of it, unless the caller
/// cancels. An element takes `depth` multiply-adds.
///
/// Every range is a multiple of `grain` columns, except for the last one.
pub(crate) fn for_columns<T: Element>(
    team: Team<'_>,
    out: ColumnsMut<'_, T>,
    grain: usize,
    depth: usize,
    work: impl Fn(ColumnsMut<'_, T>) + Sync,
) {
    let look = between_looks(out.tokens(), depth, grain);
    for_columns_of(team, [out], grain, look, |_, columns| work(columns));
}

/// Shares out the columns of all `outs` in one job, as [`for_columns`] does: tasks of `grain` columns, and calls for at most
/// `look` columns. `work` also gets the index of the output.
#[expect(
    unsafe_code,
    reason = "threads write to disjoint columns of one matrix, which slices cannot express"
)]
pub(crate) fn for_columns_of<T: Element, const N: usize>(
    team: Team<'_>,
    outs: [ColumnsMut<'_, T>; N],
    grain: usize,
    look: usize,
    work: impl Fn(usize, ColumnsMut<'_, T>) + Sync,
) {
    let tasks = outs.each_ref().map(|out| out.columns().len().div_ceil(grain));
    team.run_spans(tasks.iter().sum(), |span| {
        let mut first = 0;
        for (which, (out, tasks)) in outs.iter().zip(tasks).enumerate() {
            let (start, end) = (span.start.max(first), span.end.min(first + tasks));
            if start < end {
                let all = out.columns();
                let end = all.end.min(all.start + (end - first) * grain);
                for start in (all.start + (start - first) * grain..end).step_by(look) {
                    if team.is_cancelled() {
                        return;
                    }
                    // SAFETY:
                    // - a task is `grain` columns of one output, and no two tasks share a column;
                    // - `run_spans` puts each task into one span, and a span's calls share no column;
                    // - the outputs are not used while their parts live.
                    work(which, unsafe { out.part(start..end.min(start + look)) });
                }
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
                for_columns_of(Team::new(&pool), outs, 16, 32, |which, part| {
                    assert!(part.columns().start.is_multiple_of(16) && part.columns().len() <= 32);
                    seen.lock().unwrap()[which][part.columns()].iter_mut().for_each(|times| *times += 1);
                });
                assert_eq!(seen.into_inner().unwrap(), widths.map(|n| vec![1; n]), "{threads} threads");
            }
        }
    }

    /// The slowest machines do 2³⁰ multiply-adds in a second with one thread: 64 of these calls.
    #[test]
    fn the_work_between_two_looks_is_bounded() {
        for (tokens, depth, unit) in [1, 2, 16, 128, 256]
            .into_iter()
            .flat_map(|tokens| [1, 100, 2560, 6912, 32768].map(move |depth| (tokens, depth, 64)).into_iter())
        {
            let columns = between_looks(tokens, depth, unit);
            assert!(columns.is_multiple_of(unit) && columns > 0);
            let least = unit * tokens * depth;
            assert!(columns * tokens * depth <= (1 << 26) + least, "{tokens} tokens of {depth}");
        }
    }

    #[test]
    fn no_task_starts_after_the_wish_to_end() {
        let pool = start(2).unwrap();
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        let cancelled = || calls.load(relaxed) >= 10;
        let team = Team::until(&pool, &cancelled);
        let mut out = vec![0i32; 1000];
        for_columns(team, ColumnsMut::new(&mut out, 1, 1000), 1, 1 << 26, |_| {
            calls.fetch_add(1, relaxed);
        });
        assert!(calls.load(relaxed) <= 11, "two threads may each finish a task");
        assert!(matches!(team.check(), Err(Error::Cancelled)));
    }

    #[test]
    fn absurd_counts_are_refused() {
        assert!(start(0).is_err());
        assert!(start(1 << 20).is_err());
    }
}
