//! Emitted kernels against the hand-written ones and the plain reference: one thread, in multiply-adds per second.
//!
//! The kernels are those of the planner's rule and, where `TERCET_CACHE_DIR` names a directory in which `tercet tune`
//! has kept others, those too.

use std::hint::black_box;
use std::iter::repeat_with;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use tercet::autotune::{Planner, Problem};
use tercet::codegen::{Activations, ColumnsMut, Gemm, Isa, KernelCache, KernelSpec, PackedMatrix, Packing};
use tercet::cpu::Cpu;
use tercet::{Runtime, RuntimeOptions};
use tercet_kernels_ref::gemm::gemm as reference;

/// Small enough for plain loops; then the shapes of BitNet b1.58 2B-4T.
const SHAPES: [(usize, usize); 5] = [(256, 256), (2560, 2560), (640, 2560), (6912, 2560), (2560, 6912)];
/// Decoding and prefill.
const TOKENS: [usize; 2] = [1, 128];
/// Decoding reads weights from memory: this much passes before any is read again.
const BEYOND_CACHES: usize = 128 << 20;

/// Operands of Y = X·Wᵀ.
struct Operands {
    problem: Problem,
    weights: Vec<i8>,
    acts: Vec<i8>,
}

impl Operands {
    fn new(n: usize, k: usize, m: usize) -> Self {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let weights = repeat_with(|| (random() % 3) as i8 - 1).take(n * k).collect();
        let acts = repeat_with(|| random() as i8).take(m * k).collect();
        Operands { problem: Problem { n, k, m, threads: 1 }, weights, acts }
    }

    /// Whether caches hold the weights.
    fn are_small(&self) -> bool {
        self.weights.len() < 1 << 20
    }

    /// Whether plain loops are done with this soon.
    fn are_quick(&self) -> bool {
        self.weights.len() * self.problem.m < 1 << 25
    }

    /// As many matrices from `pack`, each of `bytes`, as the weights must be read from.
    fn matrices<T>(&self, bytes: usize, pack: impl FnMut() -> T) -> Vec<T> {
        let copies = if self.problem.m == 1 && !self.are_small() { BEYOND_CACHES / bytes } else { 1 };
        repeat_with(pack).take(copies).collect()
    }
}

/// The kernels of the rule and of the records for a packing, each once.
fn planned(problem: &Problem, isa: Isa, packing: Packing) -> Vec<KernelSpec> {
    let by_rule = Planner::new(isa, packing).on(Cpu::host()).plan(problem).spec;
    let environment = tercet::knobs::runtime_options().expect("the environment's settings are valid");
    let options =
        RuntimeOptions { isa_cap: Some(isa), packing: Some(packing), threads: Some(1), ..environment };
    let by_record = Runtime::new(&options).planner().plan(problem).spec;
    if by_record == by_rule { vec![by_rule] } else { vec![by_rule, by_record] }
}

fn emitted(group: &mut BenchmarkGroup<'_, WallTime>, operands: &Operands, spec: KernelSpec) {
    let Problem { n, k, m, .. } = operands.problem;
    let gemm = Gemm::new(&KernelCache::default(), spec).expect("this CPU runs the ISA");
    let pack = || PackedMatrix::pack(spec.layout, n, k, &operands.weights).expect("the weights are ternary");
    let matrices = operands.matrices(pack().bytes(), pack);
    let mut acts = Activations::with_capacity(m, k);
    for (mut row, values) in acts.rows_mut().zip(operands.acts.chunks(k)) {
        row.set(|to| {
            to.copy_from_slice(values);
            1.0
        });
    }
    let (mut out, mut next) = (vec![0.0_f32; m * n], matrices.iter().cycle());
    group.bench_function(spec.to_string().replace('/', " "), |bencher| {
        bencher.iter(|| {
            let matrix = next.next().expect("it cycles");
            gemm.compute(matrix, &acts, ColumnsMut::new(black_box(&mut out), m, n));
        });
    });
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn hand_written(group: &mut BenchmarkGroup<'_, WallTime>, operands: &Operands) {
    use tercet_kernels_ref::intrinsics::{Activations, Level, Packed, gemm};
    let Problem { n, k, m, .. } = operands.problem;
    let acts = Activations::new(&operands.acts, m, k);
    for level in Level::available() {
        let pack = || Packed::new(level, &operands.weights, n, k);
        let matrices = operands.matrices(pack().size_bytes(), pack);
        let (mut out, mut next) = (vec![0; m * n], matrices.iter().cycle());
        group.bench_function(format!("intrinsics {level:?}"), |bencher| {
            bencher.iter(|| gemm(next.next().expect("it cycles"), &acts, 0..n, black_box(&mut out)));
        });
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn hand_written(_: &mut BenchmarkGroup<'_, WallTime>, _: &Operands) {}

fn kernels(criterion: &mut Criterion) {
    for ((n, k), m) in SHAPES.into_iter().flat_map(|shape| TOKENS.map(|m| (shape, m))) {
        let operands = Operands::new(n, k, m);
        let mut group = criterion.benchmark_group(format!("{n} x {k}, {m} tokens"));
        group.sample_size(10).throughput(Throughput::Elements((n * k * m) as u64));
        if operands.are_quick() {
            group.bench_function("reference", |bencher| {
                bencher.iter(|| reference(&operands.weights, &operands.acts, n, k, m));
            });
        }
        hand_written(&mut group, &operands);
        for isa in Isa::available(Cpu::host())
            .into_iter()
            .filter(|&isa| isa != Isa::Portable || operands.are_quick())
        {
            for spec in Packing::TERNARY.into_iter().flat_map(|p| planned(&operands.problem, isa, p)) {
                emitted(&mut group, &operands, spec);
            }
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
