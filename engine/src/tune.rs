//! Measures kernels on this machine: the stopwatch of the autotuner's search, and its results.

use std::time::{Duration, Instant, SystemTime};

use tercet_autotune::{Measured, Origin, Planner, Problem, Record, Records, Sharing, Timer, measure};
use tercet_codegen::{Activations, Epilogue, Gemm, KernelCache, KernelSpec, Layout, PackedMatrix};
use tercet_cpu::Cpu;
use tercet_pool::Pool;

use crate::error::{Error, Result};
use crate::memory;
use crate::model::{PLANNED_TOKENS, Rivals, multiply, random_trits};
use crate::pool::{self, Team};
use crate::runtime::Runtime;

/// The result of tuning for one problem.
#[derive(Clone, Copy, Debug)]
pub struct Tuned {
    /// The problem.
    pub problem: Problem,
    /// The kernel that the rules choose.
    pub default: KernelSpec,
    /// The fastest kernel, with its work shared by rule.
    pub kernel: Measured<KernelSpec>,
    /// The fastest way to share the work of that kernel among threads.
    pub sharing: Measured<Sharing>,
}

impl Tuned {
    /// Returns the time of a product with the fastest kernel and sharing.
    pub fn time(&self) -> Duration {
        self.sharing.time
    }

    /// Returns the speed-up over the kernel and sharing by rule.
    pub fn gain(&self) -> f64 {
        self.kernel.gain * self.sharing.gain
    }
}

/// Searches the fastest kernels for the matrix shapes (n, k) and each of [`PLANNED_TOKENS`].
///
/// The whole search takes about `budget`. On a machine that is busy with other work, searches that would take much longer
/// are left out. Calls `progress` with every result.
///
/// # Errors
/// Fails if a shape cannot be packed, a kernel cannot be made or the threads cannot be started.
pub fn tune(
    runtime: &Runtime,
    shapes: &[(usize, usize)],
    budget: Duration,
    mut progress: impl FnMut(&Tuned),
) -> Result<Vec<Tuned>> {
    /// Time beyond twice the budget, for the smallest budgets.
    const GRACE: Duration = Duration::from_secs(10);
    let start = Instant::now();
    let tuner = Tuner {
        planner: runtime.planner(),
        pool: pool::start(runtime.threads())?,
        kernels: KernelCache::default(),
    };
    let mut found = Vec::new();
    for (i, &shape) in shapes.iter().enumerate() {
        if start.elapsed() > 2 * budget + GRACE {
            break;
        }
        let operands = Operands::new(tuner.planner.layout(), &tuner.pool, shape)?;
        for (j, (_, m)) in PLANNED_TOKENS.into_iter().enumerate() {
            let searches = (shapes.len() - i) * PLANNED_TOKENS.len() - j;
            let left = budget.saturating_sub(start.elapsed());
            let tuned = tuner.search(&operands, m, left / searches as u32)?;
            progress(&tuned);
            found.push(tuned);
        }
    }
    Ok(found)
}

/// Measures a product of a matrix (n, k) with `m` tokens, by the kernel of `spec` on `threads` threads.
///
/// Returns the least time of the measurements within about `budget`. The weights come from memory, not
/// from a CPU cache.
///
/// # Errors
/// Fails if the shape cannot be packed, the kernel cannot be made or the threads cannot be started.
pub fn time(
    spec: &KernelSpec,
    shape: (usize, usize),
    m: usize,
    threads: usize,
    budget: Duration,
) -> Result<Duration> {
    let spec = KernelSpec { epilogue: Epilogue::F32, ..*spec };
    let tuner = Tuner {
        planner: Planner::new(spec.isa, spec.layout.packing),
        pool: pool::start(threads)?,
        kernels: KernelCache::default(),
    };
    let operands = Operands::new(spec.layout, &tuner.pool, shape)?;
    let mut stopwatch = Stopwatch::new(&tuner, &operands, m, spec);
    let mut least = stopwatch.time(&spec)?;
    while stopwatch.start.elapsed() < budget {
        least = least.min(stopwatch.time(&spec)?);
    }
    Ok(least)
}

/// Returns those of `shapes` with a plan by rule: no tuning record covers them.
pub fn untuned(runtime: &Runtime, shapes: impl IntoIterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let planner = runtime.planner();
    let by_rule =
        |n, k, m| planner.plan(&Problem { n, k, m, threads: runtime.threads() }).origin == Origin::Default;
    shapes.into_iter().filter(|&(n, k)| PLANNED_TOKENS.into_iter().any(|(_, m)| by_rule(n, k, m))).collect()
}

/// Returns tuning records of the results, for [`Runtime::learn`].
pub fn records(runtime: &Runtime, found: &[Tuned]) -> Records {
    let date = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let planner = runtime.planner();
    let mut records = Records::default();
    for tuned @ Tuned { problem, kernel, sharing, .. } in found {
        let record = Record {
            spec: kernel.winner,
            sharing: sharing.winner,
            time: tuned.time(),
            runner_up: kernel.runner_up,
            date,
            origin: Origin::Measured,
        };
        records.insert(planner.key(problem), record);
    }
    records
}

struct Tuner {
    planner: Planner,
    pool: Pool,
    /// Separate from the runtime's cache, so that the many candidates are freed after tuning.
    kernels: KernelCache,
}

impl Tuner {
    fn search(&self, operands: &Operands, m: usize, budget: Duration) -> Result<Tuned> {
        let problem = Problem { n: operands.n, k: operands.k, m, threads: self.pool.threads() };
        let kernels = self.planner.candidates(&problem);
        let sharings = Sharing::candidates(problem.threads);
        // There are many more kernels than ways to share their work.
        let for_sharing = if sharings.len() > 1 { budget / 4 } else { Duration::ZERO };
        let mut stopwatch = Stopwatch::new(self, operands, m, kernels[0]);
        let kernel = measure(&kernels, budget - for_sharing, &mut stopwatch)?;
        let mut stopwatch = Stopwatch::new(self, operands, m, kernel.winner);
        let sharing = measure(&sharings, for_sharing, &mut stopwatch)?;
        Ok(Tuned { problem, default: kernels[0], kernel, sharing })
    }
}

/// Copies of one matrix. Together they are much larger than the last-level cache, so a product finds no
/// weights there.
struct Operands {
    n: usize,
    k: usize,
    copies: Vec<PackedMatrix>,
}

impl Operands {
    fn new(layout: Layout, pool: &Pool, (n, k): (usize, usize)) -> Result<Self> {
        const LEAST: usize = 64 << 20;
        const MOST: usize = 512 << 20;
        const MOST_COPIES: usize = 512;
        const MOST_WEIGHTS: usize = 1 << 30;
        if n.checked_mul(k).is_none_or(|weights| weights > MOST_WEIGHTS) {
            let problem = format!("{n} x {k} is too large");
            return Err(Error::bad_argument("the shape", problem, "use up to 2^30 weights"));
        }
        let first = PackedMatrix::pack(layout, n, k, &random_trits(n * k, 1))?;
        // Caches keep some data even of a stream of twice their size.
        let cached = Cpu::host().caches.iter().map(|cache| cache.size as usize).max().unwrap_or_default();
        let others = (4 * cached).clamp(LEAST, MOST).div_ceil(first.bytes()).min(MOST_COPIES) - 1;
        let bytes = memory::product([others, first.bytes()]);
        memory::require(bytes, || "the copies of a matrix".to_owned(), "tune smaller shapes")?;
        let mut copies = pool.map(others, |_| first.clone());
        copies.push(first);
        Ok(Operands { n, k, copies })
    }
}

/// Times products with one copy after another: of several kernels, or of one kernel with several ways
/// to share its work.
struct Stopwatch<'t> {
    tuner: &'t Tuner,
    operands: &'t Operands,
    /// The kernel to measure with several ways to share its work.
    kernel: KernelSpec,
    acts: Activations,
    out: Vec<f32>,
    /// Products in one measurement.
    products: usize,
    next: usize,
    start: Instant,
}

impl<'t> Stopwatch<'t> {
    fn new(tuner: &'t Tuner, operands: &'t Operands, m: usize, kernel: KernelSpec) -> Self {
        /// Multiply-adds of one measurement: about a millisecond if arithmetic is the limit.
        const WORK: usize = 1 << 29;
        let Operands { n, k, .. } = *operands;
        let mut acts = Activations::with_capacity(m, k);
        for mut row in acts.rows_mut() {
            row.set(|values| {
                values.iter_mut().enumerate().for_each(|(i, value)| *value = (i * 37) as i8);
                1.0
            });
        }
        let all = operands.copies.len();
        let products = if m == 1 { all } else { (WORK / (n * k * m)).clamp(1, all) };
        let start = Instant::now();
        Stopwatch { tuner, operands, kernel, acts, out: vec![0.0; m * n], products, next: 0, start }
    }
}

impl Stopwatch<'_> {
    fn product(&mut self, spec: &KernelSpec, sharing: Sharing) -> Result<Duration> {
        let pool = self.tuner.pool.first(sharing.threads);
        let gemm = Rivals::alone(Gemm::new(&self.tuner.kernels, *spec)?);
        let start = Instant::now();
        for _ in 0..self.products {
            let weights = &self.operands.copies[self.next];
            multiply(Team::new(&pool), sharing.task_kib, [(&gemm, weights)], &self.acts, [&mut self.out]);
            self.next = (self.next + 1) % self.operands.copies.len();
        }
        Ok(start.elapsed() / self.products as u32)
    }
}

impl Timer<KernelSpec> for Stopwatch<'_> {
    type Error = Error;

    fn time(&mut self, spec: &KernelSpec) -> Result<Duration> {
        self.product(spec, Sharing::by_rule(self.tuner.pool.threads()))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Timer<Sharing> for Stopwatch<'_> {
    type Error = Error;

    fn time(&mut self, sharing: &Sharing) -> Result<Duration> {
        let kernel = self.kernel;
        self.product(&kernel, *sharing)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
