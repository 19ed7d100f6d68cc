//! Fork-join among a few threads, in microseconds, without collapse when cores are busy.
//!
//! A job is a number of tasks. The caller and the workers each get a share of consecutive tasks, so
//! that each thread reads one stream of memory. A thread first takes the tasks of its own share, and
//! then helps with the shares of the others. So a late or preempted thread delays the job only by
//! the tasks that it already holds.
//!
//! ```text
//! run, 8 tasks, 2 threads:          caller 0 1 2 3 | worker 4 5 6 7
//! the worker is late:               caller 0 1 2 3 4 5 6 | worker 7
//! run_spans, 32 tasks, 2 threads:   caller 0..8 8..12 12..14 14 15 | worker 16..24 24..28 ...
//! ```
//!
//! [`Pool::run`] takes one task at a time. [`Pool::run_spans`] takes half of the remaining share at
//! a time: long spans first, short ones at the end, so that all threads finish together.
//!
//! After a job, workers spin for a bounded time and then park. A caller that has to wait for tasks
//! of others also spins for a bounded time and then parks.
//!
//! # One cache line per job
//! Cores may share no cache. Moving a cache line between two of them then takes half a microsecond.
//! So the caller writes the whole job into one line, on which all workers spin. It writes to no
//! share, because a share with the number of an earlier job counts as whole. A worker reports only
//! once, when it has no more tasks to take.
//!
//! # Many threads
//! No thread does anything for all others one by one, but the caller's look at all shares:
//!
//! - A thread wakes at most two others, which wake the next ones.
//! - Among more than eight threads, a worker helps those at the distances 1, 2, 4 and so on.
//! - More than eight threads count their tasks in groups of eight.
//!
//! The example `scaling` simulates this, and the alternatives, for up to 64 threads.
//!
//! ```
//! use tercet_pool::Pool;
//!
//! let pool = Pool::new(2)?;
//! let mut squares = vec![0; 1000];
//! // Each task gets a chunk of 100 elements.
//! pool.chunks(&mut squares, 100, |chunk_index, chunk| {
//!     for (i, square) in chunk.iter_mut().enumerate() {
//!         *square = (100 * chunk_index + i).pow(2);
//!     }
//! });
//! assert_eq!(squares[999], 998_001);
//! # Ok::<(), std::io::Error>(())
//! ```

mod fork;
mod shared;
mod sync;

use std::mem::{self, forget};
use std::ops::Range;
use std::panic::resume_unwind;

use fork::Process;
use shared::{Grip, Job, Shared};
use sync::{Arc, JoinHandle, Mutex};

/// A team of threads: the calling thread and some workers.
///
/// Clones, and pools made by [`Pool::first`], share the same workers.
#[derive(Clone)]
pub struct Pool {
    workers: Arc<Workers>,
    threads: usize,
}

struct Workers {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    /// The lock that the caller of a job holds.
    busy: Mutex<()>,
    /// The process that the workers belong to. A child made by `fork` has none of them.
    process: Process,
}

impl Workers {
    /// Returns true in the process that started the workers.
    fn are_here(&self) -> bool {
        self.process == Process::current()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} threads)", self.threads())
    }
}

impl Pool {
    /// Starts a pool of `threads` threads. The caller counts as one of them, so that `threads - 1`
    /// workers start.
    ///
    /// # Errors
    /// Fails if the system cannot start a worker.
    ///
    /// ```
    /// use tercet_pool::Pool;
    ///
    /// let pool = Pool::new(4)?;
    /// assert_eq!(pool.threads(), 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(threads: usize) -> std::io::Result<Self> {
        match Self::up_to(threads) {
            (pool, None) => Ok(pool),
            (_, Some(error)) => Err(error),
        }
    }

    /// Starts a pool of at most `threads` threads: as many as the system can start. Also returns the reason if there are
    /// fewer.
    pub fn up_to(threads: usize) -> (Self, Option<std::io::Error>) {
        let mut refusal = fork::watch().err();
        let workers = if refusal.is_none() { threads.saturating_sub(1) } else { 0 };
        let shared = Arc::new(Shared::new(workers));
        let mut started = Workers {
            shared,
            handles: Vec::with_capacity(workers),
            busy: Mutex::new(()),
            process: Process::current(),
        };
        for index in 0..workers {
            let shared = Arc::clone(&started.shared);
            match sync::spawn(index, move || shared.work(index)) {
                Ok(handle) => started.handles.push(handle),
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            }
        }
        let threads = started.handles.len() + 1;
        (Pool { workers: Arc::new(started), threads }, refusal)
    }

    /// Returns a pool of the first `threads` of these threads, or of all if there are fewer.
    ///
    /// It is for jobs that more threads do not make faster. The other workers sleep meanwhile.
    ///
    /// ```
    /// use tercet_pool::Pool;
    ///
    /// let pool = Pool::new(4)?;
    /// let half = pool.first(2);
    /// assert_eq!((half.threads(), pool.threads()), (2, 4));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn first(&self, threads: usize) -> Self {
        Pool { workers: Arc::clone(&self.workers), threads: threads.clamp(1, self.threads) }
    }

    /// Returns the number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `task(i)` once for every `i` below `tasks`, and returns when all calls have returned.
    ///
    /// The workers run one job at a time. If they are busy, the job runs on its caller alone: this
    /// holds for a job that a task starts, and for a job of another thread. In a child process made by
    /// `fork`, which has no workers, every job does.
    ///
    /// # Panics
    /// Panics if a task panics, once no task is running any more. `tasks` must be below 2³².
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use tercet_pool::Pool;
    ///
    /// let (pool, sum) = (Pool::new(2)?, AtomicUsize::new(0));
    /// pool.run(100, |i| _ = sum.fetch_add(i, Ordering::Relaxed));
    /// assert_eq!(sum.into_inner(), 4950);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn run<F: Fn(usize) + Sync>(&self, tasks: usize, task: F) {
        self.share(tasks, Grip::One, |span| span.for_each(&task));
    }

    /// Calls `work` with spans of consecutive tasks, which cover every task below `tasks` once.
    ///
    /// A thread takes half of the remaining share each time, rounded up. A share of 50 tasks
    /// becomes spans of 25, 13, 6, 3, 2 and 1 tasks. So a thread pays the cost of starting a span
    /// only a few times, and the short spans at the end let all threads finish together.
    ///
    /// # Panics
    /// Panics if a call panics, once no call is running any more. `tasks` must be below 2³².
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use tercet_pool::Pool;
    ///
    /// let (pool, spans) = (Pool::new(2)?, Mutex::new(Vec::new()));
    /// pool.run_spans(100, |span| spans.lock().unwrap().push(span));
    ///
    /// let mut spans = spans.into_inner().unwrap();
    /// spans.sort_by_key(|span| span.start);
    /// // The spans join without gaps, and there are far fewer of them than tasks.
    /// assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start));
    /// assert_eq!((spans[0].start, spans.last().unwrap().end), (0, 100));
    /// assert!(spans.len() <= 12);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn run_spans<F: Fn(Range<usize>) + Sync>(&self, tasks: usize, work: F) {
        self.share(tasks, Grip::Half, work);
    }

    fn share<F: Fn(Range<usize>) + Sync>(&self, tasks: usize, grip: Grip, work: F) {
        let Workers { shared, busy, .. } = &*self.workers;
        let shareable = tasks > 1 && self.threads > 1 && self.workers.are_here();
        let free = if shareable { busy.try_lock().ok() } else { None };
        if free.is_none() {
            return work(0..tasks);
        }
        let tasks = u32::try_from(tasks).expect("fewer than 2^32 tasks");
        shared.publish(&Job::new(&work, tasks, grip), self.threads);
        shared.take_tasks(0);
        shared.wait();
        let panic = shared.take_panic();
        drop(free);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `task(i, chunk)` for each chunk of `len` consecutive elements of `slice`. The last
    /// chunk may be shorter.
    ///
    /// # Panics
    /// Panics if `len` is 0. Panics if a task panics, once no task is running any more.
    pub fn chunks<T: Send, F: Fn(usize, &mut [T]) + Sync>(&self, slice: &mut [T], len: usize, task: F) {
        let (total, first) = (slice.len(), Shares(slice.as_mut_ptr()));
        self.run(total.div_ceil(len), |i| {
            let start = i * len;
            // SAFETY:
            // - `start` is less than `total`, because `i` is less than `total.div_ceil(len)`.
            // - the chunk ends within the slice, because its length is at most `total - start`.
            // - no two chunks overlap, and each task runs once.
            // - `slice` stays exclusively borrowed until all tasks have run.
            let chunk = unsafe { std::slice::from_raw_parts_mut(first.at(start), len.min(total - start)) };
            task(i, chunk);
        });
    }

    /// Returns the results of `task(0)` to `task(tasks - 1)`, in this order.
    ///
    /// # Panics
    /// Panics if a task panics, once no task is running any more. `tasks` must be below 2³².
    ///
    /// ```
    /// use tercet_pool::Pool;
    ///
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.map(5, |i| i * i), [0, 1, 4, 9, 16]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn map<T: Send, F: Fn(usize) -> T + Sync>(&self, tasks: usize, task: F) -> Vec<T> {
        let mut results: Vec<Option<T>> = (0..tasks).map(|_| None).collect();
        self.chunks(&mut results, 1, |i, result| result[0] = Some(task(i)));
        results.into_iter().map(|result| result.expect("every task ran")).collect()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if !self.are_here() {
            return forget(mem::take(&mut self.handles));
        }
        self.shared.end();
        for worker in self.handles.drain(..) {
            worker.thread().unpark();
            // The join cannot fail: a worker catches the panics of tasks, and never panics itself.
            let _ = worker.join();
        }
    }
}

/// A pointer to elements that tasks use without overlap.
struct Shares<T>(*mut T);

// SAFETY:
// - `chunks` gives each element to one task only.
// - `T: Send` allows this task to run on another thread.
unsafe impl<T: Send> Sync for Shares<T> {}

impl<T> Shares<T> {
    /// Returns the address of element `index`.
    ///
    /// # Safety
    /// `index` must be within the allocation.
    unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: the caller promises that `index` is within the allocation.
        unsafe { self.0.add(index) }
    }
}
