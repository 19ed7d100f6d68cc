//! The simulation beside real jobs of the pool.

use tercet_pool::Pool;

use crate::design::Design;
use crate::machine::{Busy, Costs, Machine};
use crate::measure::{Weights, beside_busy, costs, mean, typical};
use crate::protocol::{Job, Step, first_node, simulate};
use crate::token::matrix;

/// The time for which Linux gives a core to one of two programs: a tick of 250 Hz.
const SLICE: f64 = 4e6;

/// Measures this machine's costs and jobs, and prints them beside simulated ones.
pub(crate) fn print() {
    let pools = [1, 2].map(|threads| Pool::new(threads).expect("two threads"));
    let mut weights = Weights::new(1 << 29);
    let (memory, ramp) = weights.memory(&pools[1]);
    let costs = Costs { ramp, ..costs() };
    println!("{costs:#?}\n{memory:#?}\n");
    println!("| job | threads | measured | simulated | off by |\n|---|---:|---:|---:|---:|");
    let computing = Job { tasks: 8, bytes: 0.0, time: 1e3, halves: true, start: 0.0 };
    let jobs: [(&str, &dyn Fn(usize) -> Job); 3] = [
        ("8 tasks of 1 µs", &|_| computing),
        ("640 x 2560", &|threads| matrix(640, 2560, threads)),
        ("6912 x 2560", &|threads| matrix(6912, 2560, threads)),
    ];
    for (name, job) in jobs {
        let real = |weights: &mut Weights, pool: &Pool, job: Job, count| match job.bytes {
            0.0 => (0..count).map(|_| Weights::computing(pool)).collect(),
            bytes => weights.jobs(pool, job.tasks, bytes as usize, count),
        };
        for (pool, threads) in pools.iter().zip([1, 2]) {
            let job = job(threads);
            // The memory of a virtual machine changes from minute to minute.
            let memory = if job.bytes > 0.0 { weights.memory(&pools[1]).0 } else { memory };
            let machine = Machine::new(threads, costs, memory);
            let real = typical(real(&mut weights, pool, job, 2001));
            let model = simulate(&machine, Design::CURRENT, &[Step::Job(job)], 200, first_node);
            row(name, threads, real, model);
        }
        let job = job(2);
        for count in [1, 2] {
            let memory = if job.bytes > 0.0 { weights.memory(&pools[1]).0 } else { memory };
            let mut machine = Machine::new(2, costs, memory);
            let repeat = if job.bytes > 0.0 { 10_000 } else { 200_000 };
            let real = beside_busy(count, || mean(&real(&mut weights, &pools[1], job, repeat)));
            for thread in 2 - count..2 {
                let credit = SLICE / (1 + thread) as f64;
                machine.busy.insert(thread, Busy { slice: SLICE, credit, since: 0.0 });
            }
            let model = simulate(&machine, Design::CURRENT, &[Step::Job(job)], repeat, first_node);
            row(&format!("{name}, {count} busy"), 2, real, model);
        }
    }
}

fn row(name: &str, threads: usize, real: f64, model: f64) {
    let off = 100.0 * (model / real - 1.0);
    println!("| {name} | {threads} | {:.2} µs | {:.2} µs | {off:+.0} % |", real / 1e3, model / 1e3);
}
