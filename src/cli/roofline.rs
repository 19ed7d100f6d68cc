//! The limits of this machine for reads and dot products, measured with emitted loops.

use std::time::Instant;

use anyhow::{Result, anyhow};
use serde::Serialize;
use tercet_codegen::probe::{DotProbe, Memory, ReadProbe};
use tercet_codegen::{Isa, KernelError};
use tercet_cpu::numa::Spread;
use tercet_pool::Pool;

use crate::cli::report::size;
use crate::cli::{progress, threads};

/// Size of the buffer that is read. Most caches are smaller, so that every read comes from memory.
const BUFFER_BYTES: usize = 512 << 20;
/// Bytes that a thread reads in a task.
const CHUNK_BYTES: usize = 4 << 20;
/// Multiply-adds of a task.
const CHUNK_MULTIPLY_ADDS: usize = 1 << 28;
/// Tasks of multiply-adds per thread.
const CHUNKS: usize = 8;
/// A roof is the best of this number of tries.
const TRIES: usize = 8;

/// The two roofs for a number of threads.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Roof {
    pub(super) threads: usize,
    /// Bandwidth of streaming reads, in GB/s.
    pub(super) read_gb_s: f64,
    /// Peak rate of byte dot products, in 10⁹ multiply-adds per second; none if the ISA has no instruction
    /// for them.
    pub(super) vnni_gmac_s: Option<f64>,
}

impl Roof {
    /// Measures both roofs with the loops of `isa`.
    pub(super) fn measure(isa: Isa, threads: usize) -> Result<Self> {
        let spinner = progress::spinner("measuring the roofline");
        let pool = threads::start(threads);
        let roof = Roof { threads, read_gb_s: read(isa, &pool)?, vnni_gmac_s: dot(isa, &pool)? };
        spinner.finish_and_clear();
        Ok(roof)
    }

    /// Returns the share of the roofline in percent for `rate` pieces of work per second. Each piece reads
    /// `bytes` and computes `multiply_adds`.
    pub(super) fn percent(&self, rate: f64, bytes: f64, multiply_adds: f64) -> f64 {
        let reading = bytes / (self.read_gb_s * 1e9);
        let computing = self.vnni_gmac_s.map_or(0.0, |peak| multiply_adds / (peak * 1e9));
        100.0 * rate * reading.max(computing)
    }
}

fn read(isa: Isa, pool: &Pool) -> Result<f64> {
    let refused =
        || anyhow!("the system refuses {} of memory, to measure its bandwidth with", size(BUFFER_BYTES));
    let _spread = Spread::begin();
    let (probes, memory) = (ReadProbe::all(isa)?, Memory::new(BUFFER_BYTES).ok_or_else(refused)?);
    let chunks: Vec<_> = memory.blocks().chunks(CHUNK_BYTES / size_of_val(&memory.blocks()[0])).collect();
    let rate = |probe: &ReadProbe| best(|| pool.map(chunks.len(), |i| probe.run(chunks[i])).iter().sum());
    Ok(probes.iter().map(rate).fold(0.0, f64::max))
}

fn dot(isa: Isa, pool: &Pool) -> Result<Option<f64>, KernelError> {
    let Some(probe) = DotProbe::new(isa)? else { return Ok(None) };
    let tasks = CHUNKS * pool.threads();
    Ok(Some(best(|| pool.map(tasks, |_| probe.run(CHUNK_MULTIPLY_ADDS)).iter().sum())))
}

/// Runs `work` several times, and returns the best rate in 10⁹ per second. `work` returns its amount.
fn best(work: impl Fn() -> usize) -> f64 {
    let rate = |_| {
        let start = Instant::now();
        let done = work() as f64;
        done / start.elapsed().as_secs_f64() / 1e9
    };
    (0..TRIES).map(rate).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::Roof;

    #[test]
    fn the_lower_roof_limits() {
        let roof = Roof { threads: 1, read_gb_s: 10.0, vnni_gmac_s: Some(100.0) };
        // 1 GB takes 0.1 s to read, 5 · 10⁹ multiply-adds 0.05 s.
        assert_eq!(roof.percent(5.0, 1e9, 5e9), 50.0);
        assert_eq!(roof.percent(5.0, 1e9, 20e9), 100.0);
        assert_eq!(Roof { vnni_gmac_s: None, ..roof }.percent(5.0, 1e9, 20e9), 50.0);
    }
}
