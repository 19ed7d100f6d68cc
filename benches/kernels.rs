//! Compares emitted kernels with hand-written kernels and with the plain reference. One thread;
//! multiply-adds per second.
//!
//! The planner chooses the emitted kernels by its rule. If `TERCET_CACHE_DIR` names a directory
//! with records of `tercet tune`, the recorded kernels are measured too.

use std::hint::black_box;
use std::iter::repeat_with;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use tercet::autotune::{Planner, Problem};
use tercet::codegen::{Activations, ColumnsMut, Gemm, Isa, KernelCache, KernelSpec, PackedMatrix, Packing};
use tercet::cpu::Cpu;
use tercet::{Runtime, RuntimeOptions};
use tercet_kernels_ref::gemm::gemm as reference;

/// Rows and columns. The first shape is small enough for plain loops; the others are those of
/// BitNet b1.58 2B-4T.
const SHAPES: [(usize, usize); 5] = [(256, 256), (2560, 2560), (640, 2560), (6912, 2560), (2560, 6912)];
/// Numbers of tokens: decode and prefill.
const TOKENS: [usize; 2] = [1, 128];
/// Bytes of weights that are read before any is read again, so that decode reads from memory.
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

    /// Returns true if the weights fit the caches.
    fn are_small(&self) -> bool {
        self.weights.len() < 1 << 20
    }

    /// Returns true if plain loops finish soon.
    fn are_quick(&self) -> bool {
        self.weights.len() * self.problem.m < 1 << 25
    }

    /// Packs the weights once, or into enough copies of `bytes` bytes that every product reads from
    /// memory.
    fn matrices<T>(&self, bytes: usize, pack: impl FnMut() -> T) -> Vec<T> {
        let copies = if self.problem.m == 1 && !self.are_small() { BEYOND_CACHES / bytes } else { 1 };
        repeat_with(pack).take(copies).collect()
    }
}

/// Returns the kernel by rule and the recorded kernel for a packing, without duplicates.
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
