//! What caller and workers share, and the protocol over it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering, SPINS, Thread, current, fence,
    park, spin_loop,
};

/// A borrowed closure and how often it is to be called.
pub(crate) struct Job {
    call: *mut (),
    context: *mut (),
    tasks: u32,
}

type Call = unsafe fn(*const (), usize);

impl Job {
    pub(crate) fn new<F: Fn(usize) + Sync>(task: &F, tasks: u32) -> Self {
        /// # Safety
        /// `context` points to a live `F`.
        unsafe fn call<F: Fn(usize)>(context: *const (), index: usize) {
            // SAFETY: the caller's promise.
            let task = unsafe { &*context.cast::<F>() };
            task(index);
        }
        let call: Call = call::<F>;
        Job { call: call as *mut (), context: ptr::from_ref(task).cast_mut().cast(), tasks }
    }
}

/// One thread's share of a job, consecutive tasks: the number of the job in the upper half, and in the lower the tasks of
/// the share that nobody has taken. Alone in its cache lines.
///
/// The job's other fields change only while no task is left in any share, so whoever takes a task by exchanging an unchanged
/// state has read the fields of that very job.
#[repr(align(128))]
struct Share(AtomicU64);

pub(crate) struct Shared {
    /// The caller's, then the workers'.
    shares: Vec<Share>,
    call: AtomicPtr<()>,
    context: AtomicPtr<()>,
    tasks: AtomicU32,
    /// How many threads the job is for.
    threads: AtomicUsize,
    unfinished: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The caller, once it parks.
    waiting: Mutex<Option<Thread>>,
    asleep: Vec<AtomicBool>,
    over: AtomicBool,
}

fn untaken(state: u64) -> u64 {
    state & u64::from(u32::MAX)
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Self {
        Shared {
            shares: (0..=workers).map(|_| Share(AtomicU64::new(0))).collect(),
            call: AtomicPtr::new(ptr::null_mut()),
            context: AtomicPtr::new(ptr::null_mut()),
            tasks: AtomicU32::new(0),
            threads: AtomicUsize::new(1),
            unfinished: AtomicUsize::new(0),
            panic: Mutex::new(None),
            waiting: Mutex::new(None),
            asleep: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            over: AtomicBool::new(false),
        }
    }

    /// Offers the job's tasks to the first `threads` threads. The previous job must be finished, and the closure must live
    /// until this one is.
    pub(crate) fn publish(&self, job: Job, threads: usize) {
        self.call.store(job.call, Ordering::Relaxed);
        self.context.store(job.context, Ordering::Relaxed);
        self.tasks.store(job.tasks, Ordering::Relaxed);
        self.threads.store(threads, Ordering::Relaxed);
        self.unfinished.store(job.tasks as usize, Ordering::Relaxed);
        for (owner, Share(state)) in self.shares.iter().enumerate() {
            let number = (state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
            let tasks = self.first_task(owner + 1) - self.first_task(owner);
            state.store(number << 32 | u64::from(tasks), Ordering::Release);
        }
    }

    /// The first of the job's tasks that is in the share of thread `owner`.
    fn first_task(&self, owner: usize) -> u32 {
        let (tasks, threads) = (self.tasks.load(Ordering::Relaxed), self.threads.load(Ordering::Relaxed));
        (u64::from(tasks) * owner.min(threads) as u64 / threads as u64) as u32
    }

    /// Runs tasks until none is left to take: those of thread `own`, and then those that the others have not come to; none
    /// if the job is for others.
    pub(crate) fn take_tasks(&self, own: usize) {
        let threads = self.threads.load(Ordering::Relaxed);
        let helped = if own < threads { threads } else { 0 };
        (own..own + helped).for_each(|owner| self.take_share(owner % threads));
    }

    fn take_share(&self, owner: usize) {
        let Share(share) = &self.shares[owner];
        loop {
            let state = share.load(Ordering::Acquire);
            if untaken(state) == 0 {
                return;
            }
            let (call, context) = (self.call.load(Ordering::Relaxed), self.context.load(Ordering::Relaxed));
            let end = self.first_task(owner + 1) as usize;
            let index = end.wrapping_sub(untaken(state) as usize);
            if share.compare_exchange(state, state - 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                // SAFETY: `call` came from a `Call` in `Job::new`: the state did not change, so it is this job's.
                let call = unsafe { std::mem::transmute::<*mut (), Call>(call) };
                // SAFETY: `context` is that job's closure, which `Pool::run` borrows until `unfinished` is 0; it is not
                // before this task is done.
                let run = || unsafe { call(context, index) };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                    *lock(&self.panic) = Some(panic);
                }
                if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1
                    && let Some(caller) = lock(&self.waiting).take()
                {
                    caller.unpark();
                }
            }
        }
    }

    /// Returns when no task of the job is unfinished.
    pub(crate) fn wait(&self) {
        let finished = || self.unfinished.load(Ordering::Acquire) == 0;
        if spin_until(finished) {
            return;
        }
        *lock(&self.waiting) = Some(current());
        while !finished() {
            park();
        }
        lock(&self.waiting).take();
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        lock(&self.panic).take()
    }

    /// A worker's life.
    pub(crate) fn work(&self, index: usize) {
        let is_left = |Share(state): &Share| untaken(state.load(Ordering::Acquire)) > 0;
        // In this order: having seen a task, it sees whom the job is for.
        let offered = || self.shares.iter().any(is_left) && index + 1 < self.threads.load(Ordering::Relaxed);
        let news = || offered() || self.over.load(Ordering::Acquire);
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
