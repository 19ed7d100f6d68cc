//! What caller and workers share, and the protocol over it.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering, SPINS, Thread, current, fence, park,
    spin_loop,
};

/// A borrowed closure and the tasks that it is to be called for.
pub(crate) struct Job {
    call: *mut (),
    context: *mut (),
    tasks: u32,
    grip: Grip,
}

/// How much of a share is taken at once.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Grip {
    One,
    /// Half of what is left.
    Half,
}

type Call = unsafe fn(*const (), Range<usize>);

impl Job {
    pub(crate) fn new<F: Fn(Range<usize>) + Sync>(work: &F, tasks: u32, grip: Grip) -> Self {
        /// # Safety
        /// `context` points to a live `F`.
        unsafe fn call<F: Fn(Range<usize>)>(context: *const (), span: Range<usize>) {
            // SAFETY: the caller's promise.
            let work = unsafe { &*context.cast::<F>() };
            work(span);
        }
        let call: Call = call::<F>;
        Job { call: call as *mut (), context: ptr::from_ref(work).cast_mut().cast(), tasks, grip }
    }
}

/// In cache lines of its own: what one thread writes is not in the way of what others read.
#[repr(align(128))]
struct Alone<T>(T);

/// One thread's share of a job, consecutive tasks, and all that whoever takes one has to know: a worker learns of a job by
/// one line from the caller's cache.
///
/// The other fields change only while no task is left in the share, so whoever takes a task by exchanging an unchanged state
/// has read the fields of that very job.
struct Share {
    /// The number of the job in the upper half, and in the lower the tasks of the share that nobody has taken.
    state: AtomicU64,
    call: AtomicPtr<()>,
    context: AtomicPtr<()>,
    /// The first of the job's tasks that is behind the share.
    end: AtomicUsize,
    /// Whether whoever comes takes half of what is left, instead of one task.
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

    /// Offers those `tasks` of the job.
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
    /// The caller's, then the workers'.
    shares: Vec<Alone<Share>>,
    /// Tasks that are not known to be done.
    unfinished: Alone<AtomicUsize>,
    /// How many threads the job is for.
    threads: AtomicUsize,
    panic: Alone<Mutex<Option<Box<dyn Any + Send>>>>,
    /// The caller, once it parks.
    waiting: Alone<Mutex<Option<Thread>>>,
    asleep: Vec<AtomicBool>,
    over: AtomicBool,
}

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

    /// Offers the job's tasks to the first `threads` threads. The previous job must be finished, and the closure must live
    /// until this one is.
    pub(crate) fn publish(&self, job: &Job, threads: usize) {
        // Workers read this with every job: it stays in their caches while it is the same.
        if self.threads.load(Ordering::Relaxed) != threads {
            self.threads.store(threads, Ordering::Relaxed);
        }
        self.unfinished.0.store(job.tasks as usize, Ordering::Relaxed);
        let first = |owner: usize| (u64::from(job.tasks) * owner as u64 / threads as u64) as u32;
        for (owner, Alone(share)) in self.shares[..threads].iter().enumerate() {
            share.offer(job, first(owner)..first(owner + 1));
        }
    }

    /// Runs tasks until none is left to take: those of thread `own`, and then those that the others have not come to; none
    /// if the job is for others.
    pub(crate) fn take_tasks(&self, own: usize) {
        let threads = self.threads.load(Ordering::Relaxed);
        let helped = if own < threads { threads } else { 0 };
        let done: usize = (own..own + helped).map(|owner| self.take_share(owner % threads)).sum();
        // All at once: the count comes from another core's cache.
        if done > 0
            && self.unfinished.0.fetch_sub(done, Ordering::AcqRel) == done
            && let Some(caller) = lock(&self.waiting.0).take()
        {
            caller.unpark();
        }
    }

    /// Runs what is left of a share, and returns how many tasks those were.
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
                // SAFETY: `call` came from a `Call` in `Job::new`: the state did not change, so it is this job's.
                let call = unsafe { std::mem::transmute::<*mut (), Call>(call) };
                // SAFETY: `context` is that job's closure, which `Pool::share` borrows until `unfinished` is 0; it is not
                // before the caller of this function has counted these tasks.
                let run = || unsafe { call(context, start..start + taken as usize) };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                    *lock(&self.panic.0) = Some(panic);
                }
                done += taken as usize;
            }
        }
    }

    /// Returns when no task of the job is unfinished.
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

    /// A worker's life.
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
            // Pairs with the fence of a caller that has published a job.
            fence(Ordering::SeqCst);
            while !news() && asleep.load(Ordering::Acquire) {
                park();
            }
            asleep.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the worker must be unparked.
    pub(crate) fn must_wake(&self, index: usize) -> bool {
        let asleep = &self.asleep[index];
        asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::AcqRel)
    }

    /// Lets the workers end once they are awake.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> crate::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn spin_until(done: impl Fn() -> bool) -> bool {
    (0..SPINS).any(|_| {
        spin_loop();
        done()
    })
}
