//! loom explores every interleaving of small jobs:
//! `RUSTFLAGS="--cfg loom" cargo test -p tercet-pool --release --test protocol`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicUsize, Ordering};
use tercet_pool::Pool;

/// Runs jobs, given as (threads, tasks), on a pool of `threads` threads.
fn explore(threads: usize, preemptions: usize, jobs: &'static [(usize, usize)]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let pool = Pool::new(threads).unwrap();
        for &(threads, tasks) in jobs {
            let pool = pool.first(threads);
            let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.run(tasks, |i| {
                runs[i].fetch_add(1, Ordering::Relaxed);
            });
            for runs in &runs {
                assert_eq!(runs.load(Ordering::Relaxed), 1);
            }
        }
    });
}

/// Runs a job of `tasks` tasks in spans, and then a job of two tasks.
fn explore_spans(threads: usize, preemptions: usize, tasks: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let pool = Pool::new(threads).unwrap();
        for tasks in [tasks, 2] {
            let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.run_spans(tasks, |span| {
                for runs in &runs[span] {
                    runs.fetch_add(1, Ordering::Relaxed);
                }
            });
            for runs in &runs {
                assert_eq!(runs.load(Ordering::Relaxed), 1);
            }
        }
    });
}

#[test]
fn two_jobs_in_spans() {
    explore_spans(2, 2, 5);
}

#[test]
fn one_job() {
    explore(2, 3, &[(2, 2)]);
}

#[test]
fn shares_of_different_size() {
    explore(2, 3, &[(2, 3)]);
}

#[test]
fn a_job_right_after_another() {
    explore(2, 3, &[(2, 2), (2, 2)]);
}

#[test]
fn a_job_for_fewer_threads() {
    explore(3, 1, &[(2, 2)]);
}

/// Three threads make two groups, and one worker wakes the other.
#[test]
fn three_threads() {
    explore(3, 1, &[(3, 3)]);
}

#[test]
fn jobs_for_different_threads() {
    explore(3, 0, &[(3, 3), (2, 2)]);
}

#[test]
fn a_pool_that_is_dropped_without_a_job() {
    explore(2, 3, &[]);
}
