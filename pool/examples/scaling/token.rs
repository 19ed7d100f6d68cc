//! The jobs of a token of BitNet b1.58 2B-4T, with 1.6-bit weights.

use crate::protocol::{Job, Step};

/// Bytes of a layer's packed matrices.
pub(crate) const LAYER: f64 = (60.0 + 40.0 + 216.0) * 32768.0 + 40.0 * 88576.0;
pub(crate) const LAYERS: usize = 30;

/// The work of a token besides the weights, in nanoseconds: rough figures of one thread of an Emerald Rapids.
#[derive(Clone, Copy)]
pub(crate) struct Alone {
    /// The caller's work before each of the four products of a layer: norms, rounding, gates and additions.
    pub(crate) before: [f64; 4],
    /// Between two tokens: the choice of the token, and its embedding.
    pub(crate) between: f64,
    /// Attention of one head for keys and values.
    pub(crate) head: f64,
}

/// Returns the row blocks in a task, by the engine's rule.
fn grain(blocks: &[usize], block_bytes: usize, threads: usize) -> usize {
    let all: usize = blocks.iter().sum();
    if threads == 1 {
        return all;
    }
    let most = ((128 << 10) / block_bytes).clamp(1, all.div_ceil(threads * 4).max(1));
    let tasks = |size: usize| blocks.iter().map(|blocks| blocks.div_ceil(size)).sum::<usize>();
    (1..=most).rev().min_by_key(|size| tasks(*size).div_ceil(threads) * size).unwrap_or(1)
}

/// Returns the job of matrices with so many blocks of 64 rows × k, which begin at the address `start`.
fn product(blocks: &[usize], k: usize, threads: usize, start: &mut f64) -> Step {
    let block = k.div_ceil(20) * 256;
    let size = grain(blocks, block, threads);
    let tasks = blocks.iter().map(|blocks| blocks.div_ceil(size)).sum();
    // The last task of a matrix may have fewer blocks. Here all tasks have the mean.
    let all = (blocks.iter().sum::<usize>() * block) as f64;
    let job = Job { tasks, bytes: all / tasks as f64, time: 0.0, halves: true, start: *start };
    *start += all;
    Step::Job(job)
}

/// Returns the job of one matrix of `rows` × `k`.
pub(crate) fn matrix(rows: usize, k: usize, threads: usize) -> Job {
    match product(&[rows / 64], k, threads, &mut 0.0) {
        Step::Job(job) => job,
        Step::Alone(_) => unreachable!("a product is a job"),
    }
}

/// Returns the steps of one token on `threads` threads.
pub(crate) fn token(threads: usize, alone: Alone) -> Vec<Step> {
    let (mut steps, mut at) = (vec![Step::Alone(alone.between)], 0.0);
    let small = |tasks, time| Step::Job(Job { tasks, bytes: 0.0, time, halves: false, start: 0.0 });
    for _ in 0..LAYERS {
        let [attention, output, gate, down] = alone.before.map(Step::Alone);
        steps.extend([attention, product(&[10, 10, 40], 2560, threads, &mut at)]);
        // Storing keys and values, and attention, for each of five heads.
        steps.extend([small(5, 100.0), small(5, alone.head)]);
        steps.extend([output, product(&[40], 2560, threads, &mut at)]);
        steps.extend([gate, product(&[108, 108], 2560, threads, &mut at)]);
        steps.extend([down, product(&[40], 6912, threads, &mut at)]);
    }
    // The planes of the head that a token usually reads, then the bounds of the rows.
    for row_bytes in [1280, 640] {
        let job = Job { tasks: 501, bytes: f64::from(row_bytes * 256), time: 0.0, halves: true, start: at };
        at += job.tasks as f64 * job.bytes;
        steps.push(Step::Job(job));
    }
    // Then the rows that can matter to a sampled token.
    steps.extend([small(251, 3_800.0), small(130, 15_000.0)]);
    steps
}
