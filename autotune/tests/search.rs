//! The search with a clock of its own, and the plans that follow from what it finds.

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use common::{CPU, planner, problem, record, records};
use tercet_autotune::{Measured, Origin, Planner, Problem, Timer, measure, packing_by_rule};
use tercet_codegen::{FAMILIES, Isa, KernelSpec, Packing, Unpack};
use tercet_cpu::Cpu;

/// Kernels of known speed on a machine with disturbances.
struct Machine {
    micros: BTreeMap<KernelSpec, f64>,
    /// The most that a disturbance adds, as a part of the time.
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

    /// Mostly quiet, sometimes far from it.
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

#[test]
fn the_budget_ends_the_search_with_an_answer() {
    let candidates = candidates();
    for budget in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(5)] {
        let mut machine = Machine::new(&candidates, |_| 100.0);
        let measured = search(&mut machine, budget);
        assert_eq!(measured.winner, candidates[0]);
        assert!((1..candidates.len()).contains(&measured.timed));
        // A round of the few leaders may be under way.
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

fn recorded(name: &str) -> Cpu {
    let path = format!("{}/../cpu/tests/cpuid/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    Cpu::from_dump(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn few_tokens_take_one_pass_over_the_weights() {
    for cpu in ["ice-lake", "zen4", "zen5"].map(recorded) {
        for (isa, packing) in
            Isa::available(&cpu).into_iter().flat_map(|isa| Packing::ALL.map(|packing| (isa, packing)))
        {
            for m in 1..=16 {
                let plan = Planner::new(isa, packing).on(&cpu).plan(&Problem { m, ..problem(2560) });
                assert_eq!(plan.spec.schedule.unpack.passes(), 1, "{}", plan.spec);
            }
        }
    }
}

#[test]
fn few_threads_of_a_zen_4_read_two_bits_and_others_fewer() {
    let [zen4, zen5] = ["zen4", "zen5"].map(recorded);
    for isa in [Isa::Avx512Vnni, Isa::Avx512Vbmi] {
        assert_eq!(
            [1, 2, 3, 96].map(|threads| packing_by_rule(isa, &zen4, threads) == Packing::Bits2),
            [true, true, false, false]
        );
        assert_eq!(packing_by_rule(isa, &zen5, 1), Packing::Trits5);
    }
    assert_eq!(packing_by_rule(Isa::Avx2, &zen4, 96), Packing::Bits2);
}

/// Zen 3 and Zen 4 are one family, which only AVX-512 tells apart.
#[test]
fn a_zen_3_has_its_stream_prefetched() {
    let zen4 = recorded("zen4");
    let mut zen3 = zen4.clone();
    zen3.features.retain(|feature| !feature.starts_with("avx512"));
    let [zen3, zen4] = [zen3, zen4].map(|cpu| {
        let planner = Planner::new(Isa::Avx2, Packing::Bits2).on(&cpu);
        planner.plan(&Problem { m: 1, ..problem(2560) }).spec.schedule
    });
    assert_eq!((zen3.prefetch, zen4.prefetch), (8192, 0));
    assert_eq!(zen3.unpack, zen4.unpack);
}

/// Half-precision arithmetic tells servers since Sapphire Rapids from an Ice Lake, of which nothing is known.
#[test]
fn a_golden_cove_has_its_stream_prefetched_nearby() {
    let ice_lake = recorded("ice-lake");
    let mut golden_cove = ice_lake.clone();
    golden_cove.features.push("avx512_fp16");
    for (m, unknown, near) in [(1, 4096, 2048), (2, 0, 1024), (16, 0, 1024)] {
        let [before, after] = [&ice_lake, &golden_cove].map(|cpu| {
            let planner = Planner::new(Isa::Avx512Vnni, Packing::Trits5).on(cpu);
            planner.plan(&Problem { m, ..problem(2560) }).spec
        });
        assert_eq!((before.schedule.prefetch, after.schedule.prefetch), (unknown, near), "{m} tokens");
        assert_eq!((before.schedule.unpack, before.tile), (after.schedule.unpack, after.tile));
    }
}

/// What a core does beside dot products of bytes says nothing of pair sums.
#[test]
fn avx2_unpacks_prompts_once_on_any_core() {
    for cpu in ["ice-lake", "zen4", "zen5"].map(recorded) {
        for packing in Packing::TERNARY {
            let planner = Planner::new(Isa::Avx2, packing).on(&cpu);
            let prompt = planner.plan(&Problem { m: 128, ..problem(2560) });
            assert_eq!(prompt.spec.schedule.unpack, Unpack::Once, "{}", prompt.spec);
        }
        let few = Planner::new(Isa::Avx2, Packing::Bits2).on(&cpu).plan(&Problem { m: 8, ..problem(2560) });
        assert_eq!(few.spec.schedule.unpack, Unpack::Shift);
    }
}

/// Elsewhere VBMI changes no plan but the ISA's name.
#[test]
fn the_rule_looks_bytes_up_only_where_that_was_measured() {
    for name in ["ice-lake", "zen4", "zen5"] {
        let cpu = recorded(name);
        for (packing, m) in Packing::ALL.into_iter().flat_map(|packing| (1..=128).map(move |m| (packing, m)))
        {
            let plan = |isa| Planner::new(isa, packing).on(&cpu).plan(&Problem { m, ..problem(2560) }).spec;
            let (vnni, vbmi) = (plan(Isa::Avx512Vnni), plan(Isa::Avx512Vbmi));
            if name == "zen4" && vbmi.schedule.unpack == Unpack::Lookup {
                assert!(packing == Packing::Trits5 && m > 1, "{vbmi} for {m} tokens");
            } else {
                assert_eq!(KernelSpec { isa: Isa::Avx512Vnni, ..vbmi }, vnni, "{name}, {m} tokens");
            }
        }
        let few = Problem { m: 8, ..problem(2560) };
        let plan = Planner::new(Isa::Avx512Vbmi, Packing::Trits5).on(&cpu).plan(&few);
        assert_eq!(plan.spec.schedule.unpack == Unpack::Lookup, name == "zen4", "{}", plan.spec);
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
