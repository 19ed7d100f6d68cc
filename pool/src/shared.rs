//! The state that caller and workers share, and the protocol that they follow.

use std::any::Any;
use std::iter::successors;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, GROUP, Mutex, Ordering, Thread, WAKES, current,
    fence, park, spin_until,
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

/// The job that runs, or the last one. All fields fit in one cache line, on which workers spin.
///
/// They change only while no task is left in any share.
struct Announced {
    /// The number of the job in the upper 32 bits, and its threads in the lower 32 bits.
    word: AtomicU64,
    call: AtomicPtr<()>,
    context: AtomicPtr<()>,
    tasks: AtomicU32,
    /// True for [`Grip::Half`], false for [`Grip::One`].
    halves: AtomicBool,
}

/// A value of [`Announced::word`].
#[derive(Clone, Copy, PartialEq)]
struct Word(u64);

impl Word {
    /// The number of no job. The first ones soon wrap around, so that every test covers this.
    const FIRST: Word = Word::new(u32::MAX - if cfg!(loom) { 1 } else { 99 }, 0);

    const fn new(number: u32, threads: usize) -> Self {
        Word((number as u64) << 32 | threads as u64)
    }

    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Returns the number of threads that have a share. Each share has at least one task.
    fn threads(self) -> usize {
        self.0 as u32 as usize
    }
}

/// One thread's share of a job: consecutive tasks.
///
/// The number of the job is in the upper 32 bits, and the number of tasks left in the lower 32 bits. A job does not write to
/// its shares: a share with the number of an earlier job is whole. So a job reaches its workers by one cache line.
///
/// A thread reads the job's word, then the share, then the job's other fields. Then it takes tasks by a compare-and-exchange
/// of the share. If that succeeds, the share did not change meanwhile. So the job was not finished, and the fields are its own:
///
/// ```text
/// job 7, share of 4 tasks that ends with task 99
/// job 6, 0 tasks -> job 7, 2 tasks           a thread takes 96..98, which is half
/// job 7, 2 tasks -> job 7, 1 task            a thread takes 98..99
/// ```
type Share = AtomicU64;

/// Shares of threads that take part in few jobs get the number of the last job from time to time. So no number is ever 2³¹
/// jobs old, and 32 bits tell an earlier job from a later one.
const RENEWAL: u32 = 1 << 30;

/// A worker's sleep.
struct Sleep {
    /// True if the worker is parked or about to park.
    asleep: AtomicBool,
    /// The worker, once it runs.
    worker: Mutex<Option<Thread>>,
}

impl Sleep {
    fn new() -> Self {
        Sleep { asleep: AtomicBool::new(false), worker: Mutex::new(None) }
    }

    /// Ends the sleep.
    fn end(&self) {
        if self.asleep.load(Ordering::Relaxed)
            && self.asleep.swap(false, Ordering::AcqRel)
            && let Some(worker) = &*lock(&self.worker)
        {
            worker.unpark();
        }
    }
}

pub(crate) struct Shared {
    announced: Alone<Announced>,
    /// The share of the caller, then the shares of the workers.
    shares: Vec<Alone<Share>>,
    /// For a job of more than [`GROUP`] threads: the tasks of so many consecutive shares that no thread has reported as done.
    groups: Vec<Alone<AtomicUsize>>,
    /// Groups with such tasks, or these tasks themselves if there are few threads.
    unfinished: Alone<AtomicUsize>,
    /// The payload of a task's panic.
    panic: Alone<Mutex<Option<Box<dyn Any + Send>>>>,
    /// The caller, if it is parked.
    waiting: Alone<Mutex<Option<Thread>>>,
    /// The sleep of each worker.
    sleeps: Vec<Sleep>,
    /// True once the workers must end.
    over: AtomicBool,
}

/// Returns the number of tasks left in a share.
fn untaken(state: u64) -> u64 {
    state & u64::from(u32::MAX)
}

/// Returns the tasks of thread `owner`, of a job that `threads` threads share.
fn share_of(tasks: u32, owner: usize, threads: usize) -> Range<usize> {
    let first = |owner: usize| (u64::from(tasks) * owner as u64 / threads as u64) as usize;
    first(owner)..first(owner + 1)
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Self {
        let announced = Announced {
            word: AtomicU64::new(Word::FIRST.0),
            call: AtomicPtr::new(ptr::null_mut()),
            context: AtomicPtr::new(ptr::null_mut()),
            tasks: AtomicU32::new(0),
            halves: AtomicBool::new(false),
        };
        let groups = if workers < GROUP { 0 } else { (workers + 1).div_ceil(GROUP) };
        Shared {
            announced: Alone(announced),
            shares: (0..=workers).map(|_| Alone(Share::new(Word::FIRST.0))).collect(),
            groups: (0..groups).map(|_| Alone(AtomicUsize::new(0))).collect(),
            unfinished: Alone(AtomicUsize::new(0)),
            panic: Alone(Mutex::new(None)),
            waiting: Alone(Mutex::new(None)),
            sleeps: (0..workers).map(|_| Sleep::new()).collect(),
            over: AtomicBool::new(false),
        }
    }

    /// Announces a job to the first `threads` threads, or to as many as it has tasks.
    ///
    /// The previous job must be finished. The closure must live until this job is finished.
    pub(crate) fn publish(&self, job: &Job, threads: usize) {
        let (tasks, threads) = (job.tasks, threads.min(job.tasks as usize));
        let Alone(announced) = &self.announced;
        let last = Word(announced.word.load(Ordering::Relaxed)).number();
        let number = last.wrapping_add(1);
        if number.is_multiple_of(RENEWAL) {
            self.shares.iter().for_each(|share| share.0.store(Word::new(last, 0).0, Ordering::Relaxed));
        }
        let mut unfinished = tasks as usize;
        if threads > GROUP {
            unfinished = threads.div_ceil(GROUP);
            for (Alone(group), first) in self.groups[..unfinished].iter().zip((0..).step_by(GROUP)) {
                let last = threads.min(first + GROUP) - 1;
                let tasks = share_of(tasks, first, threads).start..share_of(tasks, last, threads).end;
                group.store(tasks.len(), Ordering::Relaxed);
            }
        }
        self.unfinished.0.store(unfinished, Ordering::Relaxed);
        announced.call.store(job.call, Ordering::Relaxed);
        announced.context.store(job.context, Ordering::Relaxed);
        announced.tasks.store(tasks, Ordering::Relaxed);
        announced.halves.store(job.grip == Grip::Half, Ordering::Relaxed);
        announced.word.store(Word::new(number, threads).0, Ordering::Release);
        self.wake_from(0, threads);
    }

    /// Wakes those of a job's threads that thread `own` has to wake, if they sleep.
    ///
    /// To wake a thread takes microseconds. So each thread wakes only a few, which wake the next ones. All threads are awake
    /// before the first ones fall asleep again.
    fn wake_from(&self, own: usize, threads: usize) {
        let first = WAKES * own + 1;
        if first < threads {
            // Pairs with the fence of a worker that goes to sleep. Either the worker sees the job, or this thread sees that
            // the worker sleeps.
            fence(Ordering::SeqCst);
            self.sleeps[first - 1..threads.min(first + WAKES) - 1].iter().for_each(Sleep::end);
        }
    }

    /// Runs tasks of the current job until thread `own` finds no more: first those of its share, then of others.
    ///
    /// The caller, thread 0, helps with every share, so that no task is left to a worker that sleeps. Among many threads, a
    /// worker helps those at the distances 1, 2, 4 and so on. So the threads do not all look at all shares.
    pub(crate) fn take_tasks(&self, own: usize) {
        self.take_tasks_of(Word(self.announced.0.word.load(Ordering::Acquire)), own);
    }

    fn take_tasks_of(&self, word: Word, own: usize) {
        let threads = word.threads();
        if own >= threads {
            return;
        }
        let helps_all = own == 0 || threads <= GROUP;
        let next = |distance: &usize| Some(if helps_all { distance + 1 } else { 2 * distance });
        // One report for all tasks of a group, because the line with the count is in another core's cache.
        let (mut group, mut done) = (own / GROUP, self.take_share(word, own));
        for distance in successors(Some(1), next).take_while(|distance| *distance < threads) {
            let owner = (own + distance) % threads;
            if threads > GROUP && owner / GROUP != group {
                self.report(threads, group, done);
                (group, done) = (owner / GROUP, 0);
            }
            done += self.take_share(word, owner);
        }
        self.report(threads, group, done);
    }

    /// Counts `done` tasks of a group as done, and wakes the caller after the last task of all.
    fn report(&self, threads: usize, group: usize, mut done: usize) {
        if done > 0 && threads > GROUP {
            done = usize::from(self.groups[group].0.fetch_sub(done, Ordering::AcqRel) == done);
        }
        if done > 0
            && self.unfinished.0.fetch_sub(done, Ordering::AcqRel) == done
            && let Some(caller) = lock(&self.waiting.0).take()
        {
            caller.unpark();
        }
    }

    /// Runs the remaining tasks of a share, and returns the number of tasks that this thread ran.
    fn take_share(&self, word: Word, owner: usize) -> usize {
        let (Alone(share), Alone(announced)) = (&self.shares[owner], &self.announced);
        let mut done = 0;
        loop {
            let state = share.load(Ordering::Acquire);
            let age = word.number().wrapping_sub((state >> 32) as u32) as i32;
            // A later job has begun, or all tasks are taken.
            if age < 0 || age == 0 && untaken(state) == 0 {
                return done;
            }
            let (call, context) =
                (announced.call.load(Ordering::Relaxed), announced.context.load(Ordering::Relaxed));
            let tasks = share_of(announced.tasks.load(Ordering::Relaxed), owner, word.threads());
            let left = if age == 0 { untaken(state) as usize } else { tasks.len() };
            let start = tasks.end.wrapping_sub(left);
            let taken = if announced.halves.load(Ordering::Relaxed) { left.div_ceil(2) } else { 1 };
            let rest = Word::new(word.number(), left.wrapping_sub(taken)).0;
            if share.compare_exchange(state, rest, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                // SAFETY:
                // - `call` was a `Call` in `Job::new`.
                // - it belongs to this job, because the share did not change since it was read (`Share`).
                let call = unsafe { std::mem::transmute::<*mut (), Call>(call) };
                // SAFETY:
                // - `context` points to the closure of the same job, and `call` was made for its type.
                // - `Pool::share` borrows the closure until `unfinished` is 0.
                // - `unfinished` stays above 0 until `report` counts the tasks taken here.
                let run = || unsafe { call(context, start..start + taken) };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                    *lock(&self.panic.0) = Some(panic);
                }
                done += taken;
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
        let own = index + 1;
        let word = || Word(self.announced.0.word.load(Ordering::Acquire));
        let Sleep { asleep, worker } = &self.sleeps[index];
        *lock(worker) = Some(current());
        let mut last = Word::FIRST;
        while !self.over.load(Ordering::Acquire) {
            let now = word();
            if now != last {
                self.wake_from(own, now.threads());
                self.take_tasks_of(now, own);
                last = now;
            }
            // Jobs for fewer threads do not keep a worker awake.
            let is_mine = |word: Word| word != last && own < word.threads();
            let news = || is_mine(word()) || self.over.load(Ordering::Acquire);
            if spin_until(news) {
                continue;
            }
            asleep.store(true, Ordering::Relaxed);
            // Pairs with the fence of a thread that has seen a job: see `wake_from`.
            fence(Ordering::SeqCst);
            while !news() && asleep.load(Ordering::Acquire) {
                park();
            }
            asleep.store(false, Ordering::Relaxed);
        }
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
