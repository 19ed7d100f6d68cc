//! Tuning records change the choice of kernels, and no result.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::Scratch;
use tercet::autotune::{Origin, Problem, Record, Records, Sharing, Store};
use tercet::codegen::{Isa, KernelSpec, Packing, Prefetch, Tile};
use tercet::cpu::Cpu;
use tercet::formats::{Config, ModelFiles};
use tercet::tune::{records, tune};
use tercet::{Kernels, Model, PLANNED_TOKENS, Runtime, RuntimeOptions};

const THREADS: usize = 2;

fn runtime(isa: Isa, packing: Packing, cache_dir: &Path) -> Runtime {
    Runtime::new(&RuntimeOptions {
        isa_cap: Some(isa),
        threads: Some(THREADS),
        packing: Some(packing),
        cache_dir: Some(cache_dir.to_owned()),
        ..Default::default()
    })
}

fn shapes(model: &str) -> Vec<(usize, usize)> {
    let config = Config::load(&ModelFiles::open(&common::path(model)).unwrap()).unwrap();
    Kernels::shapes(&config).into_iter().collect()
}

/// Returns kernels for a problem, including unreasonable ones.
fn odd_kernels(runtime: &Runtime, problem: &Problem) -> Vec<KernelSpec> {
    let candidates = runtime.planner().candidates(problem);
    let odd = candidates.iter().enumerate().flat_map(|(i, spec)| {
        let tile = Tile { mr: 1 + i % 5, ku: 1 + i % 16, ..spec.tile };
        let mut odd = KernelSpec { tile, ..*spec };
        odd.schedule.prefetch = Prefetch { near: 37 * i, far: 91 * i };
        [*spec, odd]
    });
    odd.filter(|spec| spec.validate().is_ok()).collect()
}

/// Stores a record with an odd kernel for every problem of the model, and returns the kernels.
/// `choice` selects them.
fn fill_store(dir: &Path, runtime: &Runtime, model: &str, choice: usize) -> Vec<KernelSpec> {
    let (mut records, mut chosen) = (Records::default(), Vec::new());
    for (i, (n, k)) in shapes(model).into_iter().enumerate() {
        for (j, (_, m)) in PLANNED_TOKENS.into_iter().enumerate() {
            let problem = Problem { n, k, m, threads: THREADS };
            let kernels = odd_kernels(runtime, &problem);
            let spec = kernels[(choice * 31 + i * 13 + j * 7) % kernels.len()];
            let time = Duration::from_nanos(1);
            let sharings = Sharing::candidates(THREADS);
            let sharing = sharings[(choice + i + j) % sharings.len()];
            let record = Record { spec, sharing, time, runner_up: None, date: 0, origin: Origin::Measured };
            records.insert(runtime.planner().key(&problem), record);
            chosen.push(spec);
        }
    }
    Store::in_dir(dir).add(records).unwrap();
    chosen
}

/// Returns the bits of the logits of a prompt, and its greedy continuation.
fn text(name: &str, model: &Model) -> (Vec<u32>, Vec<u32>) {
    let tokenizer = common::tokenizer(name, model);
    let prompt: Vec<u32> = (1..40).map(|i| i * 5 % 256).collect();
    let (logits, ids) = common::logits_and_greedy(model, &tokenizer, &prompt, 20);
    (logits.iter().map(|logit| logit.to_bits()).collect(), ids)
}

fn the_text_is_the_same_with_any_record(name: &str, choices: usize) {
    let expected = text(name, &common::load(name, &common::best_runtime()));
    assert!(!expected.1.is_empty());
    for isa in Isa::available(Cpu::host()) {
        for packing in Packing::TERNARY {
            for choice in 0..choices {
                let scratch = Scratch::new(&format!("{}-{isa}-{packing}-{choice}", name.replace('/', "-")));
                let chosen = fill_store(&scratch.0, &runtime(isa, packing, &scratch.0), name, choice);
                let model = common::load(name, &runtime(isa, packing, &scratch.0));
                let plans = model.kernels().plans().flat_map(|(_, plans)| plans);
                for (plan, spec) in plans.zip(&chosen) {
                    assert_eq!((plan.spec, plan.origin), (*spec, Origin::Stored));
                }
                assert!(text(name, &model) == expected, "{chosen:?}");
            }
        }
    }
}

#[test]
fn the_tiny_model_writes_the_same_text_with_any_record() {
    the_text_is_the_same_with_any_record(common::TINY, 8);
}

#[test]
fn the_fairy_tales_model_writes_the_same_text_with_any_record() {
    the_text_is_the_same_with_any_record(common::FAIRY_TALES, 2);
}

#[test]
fn tuned_kernels_are_used_at_once_and_by_later_runtimes() {
    let scratch = Scratch::new("learn");
    let best = Isa::best(Cpu::host());
    let mut first = runtime(best, Packing::Bits2, &scratch.0);
    let shapes = shapes(common::TINY);
    let mut told = 0;
    let found = tune(&first, &shapes, Duration::from_millis(200), |_| told += 1).unwrap();
    assert_eq!(
        (found.len(), told),
        (PLANNED_TOKENS.len() * shapes.len(), PLANNED_TOKENS.len() * shapes.len())
    );
    let learned = records(&first, &found);
    assert_eq!(learned.len(), found.len());
    first.learn(learned).unwrap();
    let origins = |runtime: &Runtime| {
        let model = common::load(common::TINY, runtime);
        let plans = model.kernels().plans().flat_map(|(_, plans)| plans.map(|plan| *plan));
        plans.map(|plan| (plan.spec, plan.origin)).collect::<Vec<_>>()
    };
    let winners = |origin| found.iter().map(|tuned| (tuned.kernel.winner, origin)).collect::<Vec<_>>();
    assert_eq!(origins(&first), winners(Origin::Measured));
    assert_eq!(origins(&runtime(best, Packing::Bits2, &scratch.0)), winners(Origin::Stored));
    assert!(origins(&common::best_runtime()).iter().all(|(_, origin)| *origin == Origin::Default));
}

#[test]
fn a_damaged_store_is_only_a_warning() {
    let scratch = Scratch::new("bad");
    fs::write(scratch.0.join("tuning.json"), b"\0garbage").unwrap();
    let bad = runtime(Isa::Portable, Packing::Bits2, &scratch.0);
    assert_eq!(bad.warnings().len(), 1, "{:?}", bad.warnings());
    common::load(common::TINY, &bad);
    let mut blocked = runtime(Isa::Portable, Packing::Bits2, &scratch.0.join("tuning.json/below"));
    assert_eq!(blocked.warnings().len(), 1, "{:?}", blocked.warnings());
    assert!(blocked.learn(Records::default()).is_err());
    common::load(common::TINY, &blocked);
}

#[test]
fn shapes_that_cannot_be_packed_are_refused() {
    let runtime = common::best_runtime();
    for shape in [(0, 16), (16, 0), (16, 1 << 15), (usize::MAX, 2), (1 << 20, 1 << 14)] {
        let error = tune(&runtime, &[shape], Duration::ZERO, |_| {}).unwrap_err();
        assert!(error.is_bad_input(), "{error}");
    }
}
