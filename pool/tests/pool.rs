//! The pool on real threads.
#![cfg(not(loom))]

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tercet_pool::Pool;

#[test]
fn every_task_runs_once_in_every_job() {
    // More than eight threads report in groups, and help only some others.
    for (threads, jobs) in [(1, 2000), (2, 2000), (3, 2000), (8, 2000), (9, 300), (20, 300)] {
        let pool = Pool::new(threads).unwrap();
        for job in 0..jobs {
            let tasks = job % 47;
            let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.run(tasks, |i| {
                runs[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1),
                "{threads} threads, {tasks} tasks"
            );
        }
    }
}

#[test]
fn spans_cover_every_task_once_and_are_few() {
    for threads in [1, 2, 3, 8] {
        let pool = Pool::new(threads).unwrap();
        for tasks in [0, 1, 2, 7, 1000] {
            let (runs, spans) = (Mutex::new(vec![0; tasks]), AtomicUsize::new(0));
            pool.run_spans(tasks, |span| {
                spans.fetch_add(1, Ordering::Relaxed);
                runs.lock().unwrap()[span].iter_mut().for_each(|runs| *runs += 1);
            });
            assert_eq!(runs.into_inner().unwrap(), vec![1; tasks], "{threads} threads");
            // At most ten halvings bring a share of 1000 tasks to one task.
            assert!(spans.into_inner() <= 1.max(11 * threads));
        }
    }
}

#[test]
fn a_job_for_fewer_threads_runs_on_these_alone() {
    for threads in 1..=4 {
        let (part, seen) = (Pool::new(4).unwrap().first(threads), Mutex::new(HashSet::new()));
        assert_eq!(part.threads(), threads);
        for _ in 0..100 {
            part.run(64, |_| _ = seen.lock().unwrap().insert(thread::current().id()));
        }
        assert!(seen.into_inner().unwrap().len() <= threads, "for {threads}");
    }
    assert_eq!(Pool::new(2).unwrap().first(9).threads(), 2);
}

#[test]
fn parked_workers_wake() {
    let pool = Pool::new(3).unwrap();
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        let total = AtomicUsize::new(0);
        pool.run(100, |i| {
            total.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(total.into_inner(), 4950);
    }
}

/// A worker that is woken wakes others, so that all take part in the end.
#[test]
fn every_parked_worker_takes_part() {
    const THREADS: usize = 12;
    let pool = Pool::new(THREADS).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    // Each task waits for all others, which run on other threads.
    let all = std::sync::Barrier::new(THREADS);
    pool.run(THREADS, |_| _ = all.wait());
}

#[test]
fn chunks_are_disjoint_and_complete() {
    let pool = Pool::new(2).unwrap();
    let mut values = vec![0usize; 1003];
    pool.chunks(&mut values, 10, |i, chunk| chunk.iter_mut().enumerate().for_each(|(j, v)| *v += 10 * i + j));
    assert!(values.iter().enumerate().all(|(i, &value)| i == value));
    assert_eq!(pool.map(5, |i| i * i), [0, 1, 4, 9, 16]);
}

#[test]
fn jobs_within_jobs_and_from_other_threads_run() {
    let pool = Pool::new(2).unwrap();
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.run(4, |_| {
                        pool.run(4, |_| {
                            total.fetch_add(1, Ordering::Relaxed);
                        })
                    });
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 3 * 200 * 16);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_survives() {
    let pool = Pool::new(2).unwrap();
    for _ in 0..50 {
        let job = || pool.run(8, |i| assert_ne!(i, 5, "task five"));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("task five"));
    }
    // The worker is still alive: these two tasks wait for each other.
    let both = std::sync::Barrier::new(2);
    pool.run(2, |_| {
        both.wait();
    });
}
