//! The search with a simulated clock, and the plans from its results.

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use common::{CPU, planner, problem, record, records};
use tercet_autotune::{Measured, Origin, Planner, Problem, Timer, measure};
use tercet_codegen::{FAMILIES, Isa, KernelSpec, Packing};

/// Kernels of known speed on a machine with disturbances.
struct Machine {
    micros: BTreeMap<KernelSpec, f64>,
    /// The largest disturbance, as a part of the time.
    noise: f64,
    random: u64,
    elapsed: Duration,
    runs: BTreeMap<KernelSpec, usize>,
}

impl Machine {
    fn new(candidates: &[KernelSpec], micros: impl Fn(usize) -> f64) -> Self {
        let micros = candidates.iter().enumerate().map(|(i, &spec)| (spec, micros(i))).collect();
        Machine { micros, noise: 0.0, random: 1, elapsed: Duration::ZERO, runs: BTreeMap::new() }
    }

    fn with_noise(self, noise: f64, seed: u64) -> Self {
        Machine { noise, random: seed, ..self }
    }

    /// Returns a factor that is mostly near 1, and sometimes large.
    fn disturbance(&mut self) -> f64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (self.random >> 40) as f64 / (1u64 << 24) as f64;
        1.0 + self.noise * uniform.powi(4)
    }
}

impl Timer<KernelSpec> for Machine {
    type Error = Infallible;

    fn time(&mut self, spec: &KernelSpec) -> Result<Duration, Infallible> {
        let time = Duration::from_secs_f64(self.micros[spec] * 1e-6 * self.disturbance());
        self.elapsed += time;
        *self.runs.entry(*spec).or_default() += 1;
        Ok(time)
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

const LONG: Duration = Duration::from_secs(60);

fn candidates() -> Vec<KernelSpec> {
    planner().candidates(&Problem { m: 128, ..problem(2560) })
}

fn search(machine: &mut Machine, budget: Duration) -> Measured<KernelSpec> {
    let Ok(measured) = measure(&candidates(), budget, machine);
    measured
}

#[test]
fn the_fastest_wins_and_the_slow_run_once() {
    let candidates = candidates();
    let micros = |i| match i {
        40 => 70.0,
        41 => 74.0,
        _ => 100.0 + i as f64,
    };
    let mut machine = Machine::new(&candidates, micros);
    let measured = search(&mut machine, LONG);
    assert_eq!(measured.winner, candidates[40]);
    assert_eq!(measured.runner_up, Some(candidates[41]));
    assert_eq!(measured.time, Duration::from_micros(70));
    assert!((measured.gain - 100.0 / 70.0).abs() < 1e-9);
    assert_eq!(measured.timed, candidates.len());
    assert!(
        candidates[1..].iter().all(|spec| (machine.runs[spec] == 1) == (machine.micros[spec] > 70.0 * 1.25))
    );
}

#[test]
fn equals_go_to_the_default_and_then_to_the_first() {
    let candidates = candidates();
    let barely = search(&mut Machine::new(&candidates, |i| if i == 30 { 98.0 } else { 100.0 }), LONG);
    assert_eq!((barely.winner, barely.gain), (candidates[0], 1.0));
    let tie = |i| match i {
        20 => 80.5,
        60 => 80.0,
        _ => 100.0,
    };
    assert_eq!(search(&mut Machine::new(&candidates, tie), LONG).winner, candidates[20]);
}

#[test]
fn two_noisy_searches_agree() {
    let candidates = candidates();
    let micros =
        |i: usize| 100.0 + 20.0 * ((i * 7919 % 101) as f64 / 101.0) - if i == 33 { 8.0 } else { 0.0 };
    let find = |seed| search(&mut Machine::new(&candidates, micros).with_noise(0.6, seed), LONG).winner;
    let speed = Machine::new(&candidates, micros).micros;
    let winners: Vec<KernelSpec> = (0..20).map(find).collect();
    let (fastest, slowest) = winners
        .iter()
        .map(|winner| speed[winner])
        .fold((f64::MAX, 0.0), |(low, high), t| (t.min(low), t.max(high)));
    assert!(slowest / fastest < 1.03, "winners of {fastest} and {slowest} µs");
    assert!(fastest < 100.0 * 1.03);
}

/// Other programs stop some runs for a long time. All kernels are equally fast.
#[test]
fn disturbances_are_no_gains() {
    let candidates = &candidates()[..20];
    for seed in 0..50 {
        for budget in [Duration::from_millis(20), Duration::from_millis(60)] {
            let mut machine = Machine::new(candidates, |_| 100.0).with_noise(5.0, seed);
            let Ok(Measured { gain, .. }) = measure(candidates, budget, &mut machine);
            assert!(gain < 1.1, "seed {seed}: a gain of {gain}");
        }
    }
}

#[test]
fn the_budget_ends_the_search_with_an_answer() {
    let candidates = candidates();
    for budget in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(5)] {
        let mut machine = Machine::new(&candidates, |_| 100.0);
        let measured = search(&mut machine, budget);
        assert_eq!(measured.winner, candidates[0]);
        assert!((1..candidates.len()).contains(&measured.timed));
        // The last round of the leaders may exceed the budget.
        assert!(machine.elapsed <= budget + Duration::from_millis(1), "{:?}", machine.elapsed);
    }
}

#[test]
fn a_coarse_clock_is_no_trouble() {
    let candidates = candidates();
    assert_eq!(search(&mut Machine::new(&candidates, |_| 0.0), Duration::ZERO).winner, candidates[0]);
}

#[test]
fn candidates_are_legal_distinct_and_few() {
    for family in &FAMILIES {
        for packing in Packing::ALL {
            for m in [1, 2, 128] {
                let planner = Planner::new(family.isa, packing);
                let problem = Problem { m, ..problem(2560) };
                let candidates = planner.candidates(&problem);
                assert_eq!(candidates[0], planner.plan(&problem).spec);
                assert!((2..300).contains(&candidates.len()), "{}, {m}: {}", family.isa, candidates.len());
                let distinct: std::collections::BTreeSet<_> = candidates.iter().collect();
                assert_eq!(distinct.len(), candidates.len());
                for spec in &candidates {
                    assert!(spec.validate().is_ok() && spec.layout == planner.layout() && spec.tile.mr <= m);
                }
            }
        }
    }
}

#[test]
fn a_record_is_a_plan_for_its_circumstances_only() {
    let stored = planner().with_records(CPU, Arc::new(records([64])));
    let here = problem(64);
    let plan = stored.plan(&here);
    assert_eq!((plan.spec, plan.origin), (record(&here, 0).1.spec, Origin::Stored));
    for elsewhere in [
        Problem { n: 65, ..here },
        Problem { k: 2561, ..here },
        Problem { m: 2, ..here },
        Problem { threads: 1, ..here },
    ] {
        assert_eq!(stored.plan(&elsewhere).origin, Origin::Default, "{elsewhere:?}");
    }
    for (isa, packing) in [(Isa::AvxVnni, Packing::Bits2), (Isa::Avx512Vnni, Packing::Trits5)] {
        let planner = Planner::new(isa, packing).with_records(CPU, Arc::new(records([64])));
        assert_eq!(planner.plan(&here).origin, Origin::Default);
    }
}

#[test]
fn a_record_put_under_the_wrong_key_is_not_used() {
    let mut records = records([64]);
    let (key, mut record) = record(&problem(64), 0);
    record.spec.isa = Isa::Portable;
    records.insert(key, record);
    let plan = planner().with_records(CPU, Arc::new(records)).plan(&problem(64));
    assert_eq!(plan.origin, Origin::Default);
}

#[test]
fn many_tokens_share_a_record() {
    let bucket = |m| Problem { m, ..problem(1) }.m_bucket();
    assert_eq!([0, 1, 2, 3, 100, 128, 129, 4096].map(bucket), [1, 1, 2, 4, 128, 128, 128, 128]);
}
