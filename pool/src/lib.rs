//! Fork-join among a few threads, in microseconds, without collapse when cores are busy.
//!
//! A job is a number of tasks. Every thread, the caller among them, has a share of consecutive tasks and takes these one at
//! a time or by halves, so that what it reads is one stream, and then those that others have not come to, so that a thread
//! that is late or preempted costs no more than what it holds. Workers spin for a bounded time after a job and then park; the
//! caller spins for a bounded time for the tasks that others still hold and then parks too.
//!
//! Cores may share no cache, and a line then takes half a microsecond from one to the other: a worker learns all of a job by
//! one line, and counts what it has done once.

mod shared;
mod sync;

use std::ops::Range;
use std::panic::resume_unwind;

use shared::{Grip, Job, Shared};
use sync::{Arc, JoinHandle, Mutex, fence};

/// The calling thread and some workers, which other pools may have a part in.
#[derive(Clone)]
pub struct Pool {
    workers: Arc<Workers>,
    threads: usize,
}

struct Workers {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    /// Held by the caller of a job.
    busy: Mutex<()>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} threads)", self.threads())
    }
}

impl Pool {
    /// A pool of `threads` threads, the caller's among them.
    ///
    /// # Errors
    /// Fails if the system cannot start the others.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let workers = threads.saturating_sub(1);
        let shared = Arc::new(Shared::new(workers));
        let mut started = Workers { shared, handles: Vec::with_capacity(workers), busy: Mutex::new(()) };
        for index in 0..workers {
            let shared = Arc::clone(&started.shared);
            started.handles.push(sync::spawn(index, move || shared.work(index))?);
        }
        Ok(Pool { workers: Arc::new(started), threads: workers + 1 })
    }

    /// A pool of the first `threads` of these threads, or of all if they are fewer, for jobs that more make no faster. The
    /// others sleep meanwhile.
    #[must_use]
    pub fn first(&self, threads: usize) -> Self {
        Pool { workers: Arc::clone(&self.workers), threads: threads.clamp(1, self.threads) }
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `task(i)` once for every i below `tasks`, and returns when all calls have.
    ///
    /// A job that is started while another is under way on the same threads, by a task or another thread, runs on its caller
    /// alone.
    ///
    /// # Panics
    /// If a task does, once the others are done.
    pub fn run<F: Fn(usize) + Sync>(&self, tasks: usize, task: F) {
        self.share(tasks, Grip::One, |span| span.for_each(&task));
    }

    /// Like [`Pool::run`], but calls `work` for spans of consecutive tasks, which together are all of them: half of what is
    /// left of a share at a time. So who starts a span at a cost seldom does, and all are done at about the same time.
    ///
    /// # Panics
    /// If a call does, once the others are done.
    pub fn run_spans<F: Fn(Range<usize>) + Sync>(&self, tasks: usize, work: F) {
        self.share(tasks, Grip::Half, work);
    }

    fn share<F: Fn(Range<usize>) + Sync>(&self, tasks: usize, grip: Grip, work: F) {
        let Workers { shared, handles, busy } = &*self.workers;
        let free = if tasks > 1 && self.threads > 1 { busy.try_lock().ok() } else { None };
        if free.is_none() {
            return work(0..tasks);
        }
        let tasks = u32::try_from(tasks).expect("fewer than 2^32 tasks");
        shared.publish(&Job::new(&work, tasks, grip), self.threads);
        // Pairs with the fence of a worker that goes to sleep: it sees the job, or this sees it asleep.
        fence(sync::Ordering::SeqCst);
        for (index, worker) in handles[..self.threads - 1].iter().enumerate() {
            if shared.must_wake(index) {
                worker.thread().unpark();
            }
        }
        shared.take_tasks(0);
        shared.wait();
        let panic = shared.take_panic();
        drop(free);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `task(i, chunk)` for the consecutive chunks of `len` elements of `slice`; the last may be shorter.
    ///
    /// # Panics
    /// If `len` is 0, or a task panics.
    pub fn chunks<T: Send, F: Fn(usize, &mut [T]) + Sync>(&self, slice: &mut [T], len: usize, task: F) {
        let (total, first) = (slice.len(), Shares(slice.as_mut_ptr()));
        self.run(total.div_ceil(len), |i| {
            let start = i * len;
            // SAFETY: `start` is within the slice, and the chunks of different tasks do not overlap; each task runs once,
            // and `slice` stays exclusively borrowed until all have run.
            let chunk = unsafe { std::slice::from_raw_parts_mut(first.at(start), len.min(total - start)) };
            task(i, chunk);
        });
    }

    /// The results of `task(0)` to `task(tasks - 1)`, in that order.
    pub fn map<T: Send, F: Fn(usize) -> T + Sync>(&self, tasks: usize, task: F) -> Vec<T> {
        let mut results: Vec<Option<T>> = (0..tasks).map(|_| None).collect();
        self.chunks(&mut results, 1, |i, result| result[0] = Some(task(i)));
        results.into_iter().map(|result| result.expect("every task ran")).collect()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.end();
        for worker in self.handles.drain(..) {
            worker.thread().unpark();
            // A worker catches its tasks' panics and has none of its own.
            let _ = worker.join();
        }
    }
}

/// A pointer whose users keep to disjoint elements.
struct Shares<T>(*mut T);

// SAFETY: `chunks` gives each element to one task, and `T: Send` lets that task be another thread's.
unsafe impl<T: Send> Sync for Shares<T> {}

impl<T> Shares<T> {
    /// # Safety
    /// `index` is within the allocation.
    unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index) }
    }
}
