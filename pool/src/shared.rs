//! The state that caller and workers share, and the protocol that they follow.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering, SPINS, Thread, current, fence, park,
    spin_loop,
};

/// A borrowed closure and the number of its tasks.
pub(crate) struct Job {
    call: *mut (),
    context: *mut (),
    tasks: u32,
    grip: Grip,
}

/// The number of tasks that a thread takes at once.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Grip {
    /// One task.
    One,
    /// Half of the remaining share, rounded up.
    Half,
}

type Call = unsafe fn(*const (), Range<usize>);

impl Job {
    pub(crate) fn new<F: Fn(Range<usize>) + Sync>(work: &F, tasks: u32, grip: Grip) -> Self {
        /// # Safety
        /// `context` must point to a live `F`.
        unsafe fn call<F: Fn(Range<usize>)>(context: *const (), span: Range<usize>) {
            // SAFETY: the caller promises that `context` points to a live `F`.
            let work = unsafe { &*context.cast::<F>() };
            work(span);
        }
        let call: Call = call::<F>;
        Job { call: call as *mut (), context: ptr::from_ref(work).cast_mut().cast(), tasks, grip }
    }
}

/// A value alone in its cache lines, so that writes to it do not slow down readers of other values.
///
/// 128 bytes, because CPUs may fetch lines in pairs.
#[repr(align(128))]
struct Alone<T>(T);

/// One thread's share of a job: consecutive tasks, with everything that is needed to run them.
///
/// All fields fit in one cache line. A worker spins on `state`, so this line is the only one that
/// has to come from the caller's cache.
///
/// The other fields change only while no task is left in the share. A thread reads them first, and
/// then takes tasks by a compare-and-exchange of `state`. If that succeeds, the job is still the
/// same, and so the fields belong to it:
///
/// ```text
/// state = job 7, 4 tasks left; end = 100     the tasks 96, 97, 98 and 99 are left
/// job 7, 4 tasks -> job 7, 2 tasks           a thread takes 96..98, which is half
/// ```
struct Share {
    /// The number of the job in the upper 32 bits, and the tasks left in the lower 32 bits.
    state: AtomicU64,
    call: AtomicPtr<()>,
    context: AtomicPtr<()>,
    /// The end of the share: its last task plus one.
    end: AtomicUsize,
    /// True for [`Grip::Half`], false for [`Grip::One`].
    halves: AtomicBool,
}

impl Share {
    fn new() -> Self {
        Share {
            state: AtomicU64::new(0),
            call: AtomicPtr::new(ptr::null_mut()),
            context: AtomicPtr::new(ptr::null_mut()),
            end: AtomicUsize::new(0),
            halves: AtomicBool::new(false),
        }
    }

    /// Fills the share with these `tasks` of the job.
    fn offer(&self, job: &Job, tasks: Range<u32>) {
        self.call.store(job.call, Ordering::Relaxed);
        self.context.store(job.context, Ordering::Relaxed);
        self.end.store(tasks.end as usize, Ordering::Relaxed);
        self.halves.store(job.grip == Grip::Half, Ordering::Relaxed);
        let number = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.state.store(number << 32 | (tasks.end - tasks.start) as u64, Ordering::Release);
    }

    fn is_left(&self) -> bool {
        untaken(self.state.load(Ordering::Acquire)) > 0
    }
}

pub(crate) struct Shared {
    /// The share of the caller, then the shares of the workers.
    shares: Vec<Alone<Share>>,
    /// Tasks that no thread has reported as done.
    unfinished: Alone<AtomicUsize>,
    /// Number of threads that the job is for.
    threads: AtomicUsize,
    /// The payload of a task's panic.
    panic: Alone<Mutex<Option<Box<dyn Any + Send>>>>,
    /// The caller, if it is parked.
    waiting: Alone<Mutex<Option<Thread>>>,
    /// True for each worker that is parked or about to park.
    asleep: Vec<AtomicBool>,
    /// True once the workers must end.
    over: AtomicBool,
}

/// Returns the number of tasks left in a share.
fn untaken(state: u64) -> u64 {
    state & u64::from(u32::MAX)
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Self {
        Shared {
            shares: (0..=workers).map(|_| Alone(Share::new())).collect(),
            unfinished: Alone(AtomicUsize::new(0)),
            threads: AtomicUsize::new(1),
            panic: Alone(Mutex::new(None)),
            waiting: Alone(Mutex::new(None)),
            asleep: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            over: AtomicBool::new(false),
        }
    }

    /// Divides the job's tasks among the first `threads` threads.
    ///
    /// The previous job must be finished. The closure must live until this job is finished.
    pub(crate) fn publish(&self, job: &Job, threads: usize) {
        // Workers read this number with every job. Without a store it stays in their caches.
        if self.threads.load(Ordering::Relaxed) != threads {
            self.threads.store(threads, Ordering::Relaxed);
        }
        self.unfinished.0.store(job.tasks as usize, Ordering::Relaxed);
        let first = |owner: usize| (u64::from(job.tasks) * owner as u64 / threads as u64) as u32;
        for (owner, Alone(share)) in self.shares[..threads].iter().enumerate() {
            share.offer(job, first(owner)..first(owner + 1));
        }
    }

    /// Runs tasks until no share has any left: first the share of thread `own`, then the others.
    ///
    /// Does nothing if the job is for fewer threads and `own` is not among them.
    pub(crate) fn take_tasks(&self, own: usize) {
        let threads = self.threads.load(Ordering::Relaxed);
        let helped = if own < threads { threads } else { 0 };
        let done: usize = (own..own + helped).map(|owner| self.take_share(owner % threads)).sum();
        // One subtraction for all tasks, because the line with the count is in another core's cache.
        if done > 0
            && self.unfinished.0.fetch_sub(done, Ordering::AcqRel) == done
            && let Some(caller) = lock(&self.waiting.0).take()
        {
            caller.unpark();
        }
    }

    /// Runs the remaining tasks of a share, and returns the number of tasks that this thread ran.
    fn take_share(&self, owner: usize) -> usize {
        let Alone(share) = &self.shares[owner];
        let mut done = 0;
        loop {
            let state = share.state.load(Ordering::Acquire);
            let left = untaken(state);
            if left == 0 {
                return done;
            }
            let (call, context) = (share.call.load(Ordering::Relaxed), share.context.load(Ordering::Relaxed));
            let start = share.end.load(Ordering::Relaxed).wrapping_sub(left as usize);
            let taken = if share.halves.load(Ordering::Relaxed) { left.div_ceil(2) } else { 1 };
            let exchanged =
                share.state.compare_exchange(state, state - taken, Ordering::AcqRel, Ordering::Relaxed);
            if exchanged.is_ok() {
                // SAFETY:
                // - `call` was a `Call` in `Job::new`.
                // - it belongs to this job, because the state did not change since it was read.
                let call = unsafe { std::mem::transmute::<*mut (), Call>(call) };
                // SAFETY:
                // - `context` points to the closure of the same job, and `call` was made for its type.
                // - `Pool::share` borrows the closure until `unfinished` is 0.
                // - `unfinished` stays above 0 until `take_tasks` reports the tasks taken here.
                let run = || unsafe { call(context, start..start + taken as usize) };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                    *lock(&self.panic.0) = Some(panic);
                }
                done += taken as usize;
            }
        }
    }

    /// Waits until every task of the job is done.
    pub(crate) fn wait(&self) {
        let finished = || self.unfinished.0.load(Ordering::Acquire) == 0;
        if spin_until(finished) {
            return;
        }
        *lock(&self.waiting.0) = Some(current());
        while !finished() {
            park();
        }
        lock(&self.waiting.0).take();
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        lock(&self.panic.0).take()
    }

    /// Runs a worker: takes tasks, spins, parks, and returns when the pool ends.
    pub(crate) fn work(&self, index: usize) {
        let Alone(own) = &self.shares[index + 1];
        let news = || own.is_left() || self.over.load(Ordering::Acquire);
        let asleep = &self.asleep[index];
        while !self.over.load(Ordering::Acquire) {
            self.take_tasks(index + 1);
            if spin_until(news) {
                continue;
            }
            asleep.store(true, Ordering::Relaxed);
            // Pairs with the fence of a caller that has published a job: see `Pool::share`.
            fence(Ordering::SeqCst);
            while !news() && asleep.load(Ordering::Acquire) {
                park();
            }
            asleep.store(false, Ordering::Relaxed);
        }
    }

    /// Returns true if the caller must unpark the worker, and marks the worker as awake.
    pub(crate) fn must_wake(&self, index: usize) -> bool {
        let asleep = &self.asleep[index];
        asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::AcqRel)
    }

    /// Tells the workers to end. The caller then unparks them.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> crate::sync::MutexGuard<'_, T> {
    // No thread panics while it holds one of these locks, so the value is always sound.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Spins until `done` returns true, or for [`SPINS`] turns. Returns true if `done` did.
fn spin_until(done: impl Fn() -> bool) -> bool {
    (0..SPINS).any(|_| {
        spin_loop();
        done()
    })
}
