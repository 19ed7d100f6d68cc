//! One weight matrix in every packing, and the kernels that multiply it in turns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use tercet_autotune::{Planner, Problem};
use tercet_codegen::{Isa, Layout, PackedMatrix};
use tercet_cpu::Cpu;
use tercet_pool::Pool;

use super::contestant::{Contestant, Kernel, Operands, alternatives};
use super::reference::HandWritten;
use super::{Row, Shape};
use crate::cli::roofline::Roof;
use crate::cli::threads;
use tercet_engine::Runtime;

/// The length of a kernel's turn.
const TURN: Duration = Duration::from_millis(3);
/// A kernel that takes longer than this for one product has one turn only.
const SLOW: Duration = Duration::from_millis(100);

/// Copies of one operand, used one after another so that no cache holds them.
pub(super) struct Copies<T> {
    copies: Vec<T>,
    next: AtomicUsize,
}

impl<T: Send> Copies<T> {
    /// Makes copies with a total of `budget` bytes, at least one copy.
    pub(super) fn new(
        pool: &Pool,
        budget: usize,
        bytes: impl Fn(&T) -> usize,
        make: impl Fn() -> T + Sync,
    ) -> Self {
        let mut copies = vec![make()];
        let more = budget.div_ceil(bytes(&copies[0]).max(1)).saturating_sub(1);
        copies.extend(pool.map(more, |_| make()));
        Copies { copies, next: AtomicUsize::new(0) }
    }

    /// Returns the least recently used copy.
    pub(super) fn next(&self) -> &T {
        &self.copies[self.next.fetch_add(1, Ordering::Relaxed) % self.copies.len()]
    }
}

/// The weights of one shape, and the kernels that can multiply them.
pub(super) struct Contest<'a> {
    runtimes: &'a [Runtime],
    shape: Shape,
    planners: Vec<(Isa, Planner)>,
    weights: BTreeMap<Layout, Copies<PackedMatrix>>,
    hand_written: Vec<HandWritten>,
}

impl<'a> Contest<'a> {
    /// Packs weights of `shape` for every instruction set and packing of `runtimes`, with `budget` bytes of
    /// copies for each.
    pub(super) fn new(runtimes: &'a [Runtime], shape: Shape, budget: usize) -> Result<Self> {
        let Shape { n, k } = shape;
        let trits: Vec<i8> = random().map(|byte| (byte % 3) as i8 - 1).take(n * k).collect();
        let pool = threads::start(runtimes.iter().map(Runtime::threads).max().unwrap_or(1));
        let planners: Vec<_> = runtimes.iter().flat_map(planners).collect();
        let mut weights = BTreeMap::new();
        for layout in planners.iter().map(|(_, planner)| planner.layout()) {
            let pack = || PackedMatrix::pack(layout, n, k, &trits).expect("they are n x k trits");
            weights.entry(layout).or_insert_with(|| Copies::new(&pool, budget, PackedMatrix::bytes, pack));
        }
        let reads = |runtime: &&Runtime| runtime.packing() == HandWritten::PACKING;
        let hand_written = runtimes
            .iter()
            .find(reads)
            .map_or_else(Vec::new, |runtime| HandWritten::all(&pool, runtime.isa(), (n, k), &trits, budget));
        Ok(Contest { runtimes, shape, planners, weights, hand_written })
    }

    /// Measures every kernel `repeat` times with `m` tokens.
    pub(super) fn run(&self, m: usize, repeat: usize, roof: &Roof, bar: &ProgressBar) -> Result<Vec<Row>> {
        let Shape { n, k } = self.shape;
        let acts: Vec<i8> = random().map(|byte| byte as i8).take(m * k).collect();
        let mut operands = Operands::new((n, k), m, &acts);
        let contestants = self.contestants(m)?;
        let mut times: Vec<Times> =
            contestants.iter().map(|contestant| Times::warm_up(contestant, &mut operands)).collect();
        for _ in 0..repeat {
            for (contestant, times) in contestants.iter().zip(&mut times) {
                times.take_turn(contestant, &mut operands);
            }
            bar.inc(1);
        }
        let rows = contestants.iter().zip(times).map(|(contestant, times)| {
            let seconds = times.median();
            let (bytes, multiply_adds) = (contestant.bytes as f64, (n * k * m) as f64);
            Row {
                spec: contestant.name.clone(),
                n,
                k,
                m,
                threads: 1,
                median_ns: seconds * 1e9,
                gb_s: bytes / seconds / 1e9,
                gmac_s: multiply_adds / seconds / 1e9,
                roofline_pct: roof.percent(1.0 / seconds, bytes, multiply_adds),
                picked: contestant.picked,
                packing: contestant.packing.name(),
            }
        });
        Ok(rows.collect())
    }

    fn contestants(&self, m: usize) -> Result<Vec<Contestant<'_>>> {
        let Shape { n, k } = self.shape;
        let mut contestants = Vec::new();
        let cache = self.runtimes[0].kernels();
        for (isa, planner) in &self.planners {
            let plan = planner.plan(&Problem { n, k, m, threads: 1 });
            let weights = &self.weights[&planner.layout()];
            for spec in alternatives(plan.spec, m) {
                let picked = spec == plan.spec && *isa == self.runtimes[0].isa();
                contestants.push(Contestant::emitted(cache, spec, weights, picked)?);
            }
        }
        contestants.extend(self.hand_written.iter().map(|by_hand| Contestant {
            name: by_hand.name(),
            packing: HandWritten::PACKING,
            picked: false,
            bytes: by_hand.bytes(),
            kernel: Kernel::HandWritten(by_hand),
        }));
        Ok(contestants)
    }
}

/// Returns planners for every instruction set up to the runtime's. Only the planner for the runtime's own
/// instruction set uses tuning records.
fn planners(runtime: &Runtime) -> impl Iterator<Item = (Isa, Planner)> {
    let isas = Isa::available(Cpu::host()).into_iter().filter(|isa| isa.is_within(runtime.isa()));
    isas.map(|isa| match isa == runtime.isa() {
        true => (isa, runtime.planner()),
        false => (isa, Planner::new(isa, runtime.packing()).on(Cpu::host())),
    })
}

/// The time of a kernel for one product in every turn, in seconds.
struct Times {
    products: u32,
    seconds: Vec<f64>,
}

impl Times {
    /// Runs the kernel to warm it up, and determines the products in a turn.
    fn warm_up(contestant: &Contestant<'_>, operands: &mut Operands) -> Self {
        let mut once = || {
            let start = Instant::now();
            contestant.multiply(operands);
            start.elapsed().max(Duration::from_nanos(1))
        };
        let first = once();
        if first > SLOW {
            return Times { products: 0, seconds: vec![first.as_secs_f64()] };
        }
        let products = TURN.as_nanos().div_ceil(once().as_nanos()) as u32;
        Times { products, seconds: Vec::new() }
    }

    fn take_turn(&mut self, contestant: &Contestant<'_>, operands: &mut Operands) {
        if self.products > 0 {
            let start = Instant::now();
            (0..self.products).for_each(|_| contestant.multiply(operands));
            self.seconds.push(start.elapsed().as_secs_f64() / f64::from(self.products));
        }
    }

    fn median(mut self) -> f64 {
        self.seconds.sort_by(f64::total_cmp);
        let len = self.seconds.len();
        (self.seconds[len / 2] + self.seconds[(len - 1) / 2]) / 2.0
    }
}

/// Returns the same pseudo-random bytes every time.
fn random() -> impl Iterator<Item = u8> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1_u64), next).map(|state| (state >> 56) as u8)
}
