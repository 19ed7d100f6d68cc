//! Every interleaving of small jobs, explored by loom: `RUSTFLAGS="--cfg loom" cargo test -p tercet-pool --release`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicUsize, Ordering};
use tercet_pool::Pool;

fn explore(jobs: &'static [usize]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let pool = Pool::new(2).unwrap();
        for &tasks in jobs {
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

#[test]
fn one_job() {
    explore(&[2]);
}

#[test]
fn shares_of_different_size() {
    explore(&[3]);
}

#[test]
fn a_job_right_after_another() {
    explore(&[2, 2]);
}

#[test]
fn dropped_without_a_job() {
    explore(&[]);
}
