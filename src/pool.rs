//! The threads that share one token's work.

use tercet_codegen::{ColumnsMut, Element};

use crate::error::{Error, Result};

/// A fixed number of worker threads; with one, everything runs on the caller's.
#[derive(Debug)]
pub(crate) struct Pool {
    workers: Option<rayon::ThreadPool>,
    threads: usize,
}

impl Pool {
    /// The most threads that may be asked for.
    const MAX_THREADS: usize = 1024;

    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// Fails if the number is 0 or absurd, or the system cannot start them.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        if !(1..=Self::MAX_THREADS).contains(&threads) {
            return Err(Error::bad_argument("--threads", format!("{threads} is out of range"), "use 1 to 1024"));
        }
        let workers = (threads > 1).then(|| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
            builder.thread_name(|i| format!("tercet-{i}")).build()
        });
        let workers = workers.transpose().map_err(|e| {
            Error::bad_argument("--threads", format!("cannot start {threads} threads: {e}"), "use fewer threads")
        })?;
        Ok(Pool { workers, threads })
    }

    /// Calls `work` for disjoint ranges of columns that begin at multiples of `grain` and together are all of `out`.
    pub(crate) fn columns<T: Element>(&self, out: ColumnsMut<'_, T>, grain: usize, work: impl Fn(ColumnsMut<'_, T>) + Sync) {
        match &self.workers {
            None => work(out),
            Some(workers) => workers.install(|| halve(out, grain, self.threads, &work)),
        }
    }

    /// Calls `work(i, chunk)` for the consecutive chunks of `len` elements of `out`.
    pub(crate) fn chunks<T: Send>(&self, out: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync + Send) {
        use rayon::prelude::*;
        match &self.workers {
            None => out.chunks_mut(len).enumerate().for_each(|(i, chunk)| work(i, chunk)),
            Some(workers) => {
                workers.install(|| out.par_chunks_mut(len).enumerate().for_each(|(i, chunk)| work(i, chunk)));
            }
        }
    }

    /// The results of `work(0)` to `work(count - 1)`, in that order.
    pub(crate) fn map<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
        use rayon::prelude::*;
        match &self.workers {
            None => (0..count).map(work).collect(),
            Some(workers) => workers.install(|| (0..count).into_par_iter().map(work).collect()),
        }
    }
}

/// Splits until there are `parts` parts, or one grain is left.
fn halve<T: Element>(out: ColumnsMut<'_, T>, grain: usize, parts: usize, work: &(impl Fn(ColumnsMut<'_, T>) + Sync)) {
    let columns = out.columns();
    let grains = columns.len().div_ceil(grain);
    if parts < 2 || grains < 2 {
        return work(out);
    }
    let first = parts / 2;
    let at = columns.start + (grains * first).div_ceil(parts) * grain;
    let (left, right) = out.split_at(at.min(columns.end));
    rayon::join(|| halve(left, grain, first, work), || halve(right, grain, parts - first, work));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_worked_on_once_at_any_thread_count() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads).unwrap();
            for n in [1, 15, 16, 17, 250] {
                let mut matrix = vec![0i32; 2 * n];
                let seen = std::sync::Mutex::new(vec![0; n]);
                pool.columns(ColumnsMut::new(&mut matrix, 2, n), 16, |part| {
                    assert!(part.columns().start.is_multiple_of(16));
                    seen.lock().unwrap()[part.columns()].iter_mut().for_each(|times| *times += 1);
                });
                assert_eq!(seen.into_inner().unwrap(), vec![1; n], "{threads} threads");
            }
        }
    }

    #[test]
    fn absurd_counts_are_refused() {
        assert!(Pool::new(0).is_err());
        assert!(Pool::new(1 << 20).is_err());
    }
}
