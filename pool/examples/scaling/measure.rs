//! The cost of single operations on two cores of this machine, and of whole jobs of the pool.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use tercet_pool::Pool;

use crate::machine::{Costs, Memory};

#[repr(align(128))]
#[derive(Default)]
struct Alone(AtomicU64);

/// Returns the median of some times, in nanoseconds.
fn median(mut time: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..15).map(|_| time()).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns nanoseconds per turn of `turn`.
fn per_turn(turns: u64, mut turn: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    (0..turns).for_each(&mut turn);
    start.elapsed().as_nanos() as f64 / turns as f64
}

/// Measures all costs. Two cores must be idle.
pub(crate) fn costs() -> Costs {
    let line = Alone::default();
    let exchange = median(|| {
        per_turn(10_000, |i| _ = line.0.compare_exchange(i, i + 1, Ordering::AcqRel, Ordering::Relaxed))
    });
    let hit = median(|| per_turn(10_000, |_| _ = black_box(line.0.load(Ordering::Acquire))));
    let spin = median(|| {
        per_turn(2_000, |_| {
            spin_loop();
            black_box(line.0.load(Ordering::Acquire));
        })
    });
    let transfer = transfer();
    let (post, scan) = (
        beside(|line, i| line.0.store(i, Ordering::Release)),
        beside(|line, _| _ = black_box(line.0.load(Ordering::Acquire))),
    );
    let (unpark, wake) = wake();
    Costs {
        hit,
        exchange,
        transfer,
        far: transfer,
        scan,
        post,
        serve: 5.0,
        spin,
        unpark,
        wake,
        call: 15.0,
        ramp: 0.0,
    }
}

/// Returns the time that a line takes from one core to the other.
fn transfer() -> f64 {
    const TURNS: u64 = 20_000;
    let line = Alone::default();
    let wait = |value| {
        while line.0.load(Ordering::Acquire) != value {}
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..15 * TURNS {
                wait(2 * turn + 1);
                line.0.store(2 * turn + 2, Ordering::Release);
            }
        });
        let mut turn = 0;
        median(|| {
            per_turn(TURNS, |_| {
                line.0.store(2 * turn + 1, Ordering::Release);
                wait(2 * turn + 2);
                turn += 1;
            }) / 2.0
        })
    })
}

/// Returns the time for each of 64 lines that the other core has just written.
fn beside(access: impl Fn(&Alone, u64)) -> f64 {
    const ROUNDS: u64 = 15;
    let lines: Vec<Alone> = (0..64).map(|_| Alone::default()).collect();
    let turn = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                while turn.load(Ordering::Acquire) != 2 * round + 1 {
                    spin_loop();
                }
                lines.iter().for_each(|line| _ = line.0.fetch_add(1, Ordering::AcqRel));
                turn.store(2 * round + 2, Ordering::Release);
            }
        });
        let mut round = 0;
        median(|| {
            turn.store(2 * round + 1, Ordering::Release);
            while turn.load(Ordering::Acquire) != 2 * round + 2 {
                spin_loop();
            }
            round += 1;
            let start = Instant::now();
            lines.iter().for_each(|line| access(line, round));
            fence(Ordering::SeqCst);
            start.elapsed().as_nanos() as f64 / lines.len() as f64
        })
    })
}

/// Returns the time of a call that wakes a thread, and the time until this thread runs.
fn wake() -> (f64, f64) {
    let (woken, over, start) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let now = || start.elapsed().as_nanos() as u64;
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                thread::park();
                woken.store(now(), Ordering::Release);
            }
        });
        let (mut calls, mut delays) = (Vec::new(), Vec::new());
        for _ in 0..101 {
            thread::sleep(Duration::from_micros(300));
            woken.store(0, Ordering::Release);
            let before = now();
            sleeper.thread().unpark();
            calls.push((now() - before) as f64);
            while woken.load(Ordering::Acquire) == 0 {
                spin_loop();
            }
            delays.push(woken.load(Ordering::Acquire).saturating_sub(before) as f64);
        }
        over.store(true, Ordering::Release);
        sleeper.thread().unpark();
        calls.sort_by(f64::total_cmp);
        delays.sort_by(f64::total_cmp);
        (calls[50], delays[50])
    })
}

/// A buffer that no cache holds, as far as it is read from one end to the other.
pub(crate) struct Weights {
    words: Vec<u64>,
    at: usize,
}

/// Reads words as fast as memory allows.
fn read(words: &[u64]) -> u64 {
    let mut sums = [0u64; 32];
    let (chunks, rest) = words.as_chunks::<32>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, word)| *sum ^= word);
    }
    sums.iter().chain(rest).fold(0, |sum, word| sum ^ word)
}

impl Weights {
    pub(crate) fn new(bytes: usize) -> Self {
        Weights { words: (0..bytes as u64 / 8).collect(), at: 0 }
    }

    /// Returns the time of a job that reads `tasks` × `bytes` in spans, in nanoseconds, and goes on in the buffer.
    fn job(&mut self, pool: &Pool, tasks: usize, bytes: usize) -> f64 {
        let task = bytes / 8;
        if self.at + tasks * task > self.words.len() {
            self.at = 0;
        }
        let words = &self.words[self.at..][..tasks * task];
        self.at += tasks * task;
        let start = Instant::now();
        pool.run_spans(tasks, |span| _ = black_box(read(&words[span.start * task..span.end * task])));
        start.elapsed().as_nanos() as f64
    }

    /// Returns the time of a job of 8 tasks that compute for a microsecond, in nanoseconds.
    pub(crate) fn computing(pool: &Pool) -> f64 {
        let start = Instant::now();
        pool.run_spans(8, |span| {
            let (begin, time) = (Instant::now(), Duration::from_micros(span.len() as u64));
            while begin.elapsed() < time {}
        });
        start.elapsed().as_nanos() as f64
    }

    /// Returns the times of `count` jobs.
    pub(crate) fn jobs(&mut self, pool: &Pool, tasks: usize, bytes: usize, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.job(pool, tasks, bytes)).collect()
    }

    /// Measures the rates of one and of both cores, and returns the time that starting a stream costs.
    pub(crate) fn memory(&mut self, both: &Pool) -> (Memory, f64) {
        const LARGE: usize = 16 << 20;
        const SMALL: usize = 32 << 10;
        let one = Pool::new(1).expect("one thread");
        // Nothing is left in the caches from filling the buffer.
        self.jobs(both, 64, LARGE / 2, 1 + self.words.len() / (64 * LARGE / 16));
        let rate = |times: Vec<f64>, bytes| bytes / typical(times);
        let alone = rate(self.jobs(&one, 1, LARGE, 31), LARGE as f64);
        let all = rate(self.jobs(both, 2, LARGE / 2, 31), LARGE as f64);
        // Jobs of one thread in one call, and in calls for small parts.
        let parts: Vec<f64> = (0..31)
            .map(|_| {
                (0..LARGE / SMALL).map(|_| self.job(&one, 1, SMALL)).sum::<f64>() / (LARGE / SMALL) as f64
            })
            .collect();
        let ramp = (typical(parts) - SMALL as f64 / alone).max(0.0);
        let node = all.max(alone);
        (Memory { nodes: 1, one: alone, node, link: node }, ramp)
    }
}

/// Returns the median.
pub(crate) fn typical(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns the mean.
pub(crate) fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// Runs `body` while `count` threads keep cores busy.
pub(crate) fn beside_busy<T>(count: usize, body: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    black_box(());
                }
            });
        }
        thread::sleep(Duration::from_millis(50));
        let result = body();
        over.store(true, Ordering::Relaxed);
        result
    })
}
