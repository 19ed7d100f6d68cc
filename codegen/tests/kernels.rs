//! Compares every kernel that this CPU can run with the plain reference.

use tercet_codegen::packing::MAX_K;
use tercet_codegen::verify::{self, AWKWARD_SIZES, Expected, Report};
use tercet_codegen::{
    Activations, ColumnsMut, Epilogue, FAMILIES, Gemm, Isa, KernelCache, KernelSpec, Layout, PackedMatrix,
    Packing, Prefetch, Schedule, SpecError, Tile, emit,
};
use tercet_cpu::Cpu;

/// Returns specs of every family, strategy and layout, legal or not, with the given unrollings.
fn all_specs(unrolls: &[usize]) -> impl Iterator<Item = KernelSpec> {
    let layouts = FAMILIES.iter().flat_map(|family| {
        let reads = |packing| family.strategies(packing).map(move |unpack| (packing, unpack));
        let layout = |(packing, unpack), interleave| (family.isa, unpack, Layout { packing, interleave });
        let strategies = Packing::ALL.into_iter().flat_map(reads);
        strategies
            .flat_map(move |strategy| Layout::INTERLEAVES.map(|interleave| layout(strategy, interleave)))
    });
    let tiles = move |unrolls: Vec<usize>| {
        (1..=Tile::MAX_MR).flat_map(move |mr| {
            let unrolls = unrolls.clone();
            (16..=128)
                .step_by(16)
                .flat_map(move |nr| unrolls.clone().into_iter().map(move |ku| Tile { mr, nr, ku }))
        })
    };
    let unrolls = unrolls.to_vec();
    layouts.flat_map(move |(isa, unpack, layout)| {
        tiles(unrolls.clone()).map(move |tile| KernelSpec {
            isa,
            layout,
            tile,
            schedule: Schedule { unpack, prefetch: Prefetch::near(64 * tile.mr) },
            epilogue: if tile.mr % 2 == 0 { Epilogue::I32 } else { Epilogue::F32 },
        })
    })
}

#[test]
fn families_equal_the_reference_on_a_thinned_grid() {
    let cache = KernelCache::default();
    let tokens = [1, 2, 3, 5, 7, 8, 16, 33];
    let sizes = &AWKWARD_SIZES[..8];
    let matrices = sizes.iter().flat_map(|&n| sizes.iter().map(move |&k| (n, k)));
    let reports =
        matrices.map(|shape| verify::run(&cache, &Isa::available(Cpu::host()), shape, &tokens).unwrap());
    for report in Report::sum(reports) {
        assert!(report.cases > 0);
        assert!(report.failures.is_empty(), "{}: {} failures", report.failures[0], report.failures.len());
        println!("{} {}: {} products", report.isa, report.packing, report.cases);
    }
}

#[test]
fn every_legal_tile_equals_the_reference() {
    let (n, k) = (150, 83);
    let expected = Packing::ALL.map(|packing| (packing, Expected::new(packing, n, k, Tile::MAX_MR)));
    let cache = KernelCache::default();
    let mut judged = 0;
    let legal = all_specs(&[1, 2, 5, 16]).filter(|spec| spec.validate().is_ok());
    for spec in legal.filter(|spec| spec.isa.runs_on(Cpu::host())) {
        let (_, expected) = expected.iter().find(|(packing, _)| *packing == spec.layout.packing).unwrap();
        let gemm = Gemm::new(&cache, spec).unwrap();
        assert_eq!(expected.judge(&gemm, &expected.pack(spec.layout), spec.tile.mr), None);
        judged += 1;
    }
    println!("{judged} tiles");
    assert!(judged > 100);
}

#[test]
fn a_wrong_weight_is_noticed() {
    let cache = KernelCache::default();
    for isa in Isa::available(Cpu::host()) {
        for (_, spec) in Packing::ALL.into_iter().flat_map(|packing| verify::specs(isa, packing)) {
            let expected = Expected::new(spec.layout.packing, 17, 40, 2);
            let mut wrong = expected.pack(spec.layout).unpack();
            wrong[16 * 40] = if wrong[16 * 40] == 0 { -1 } else { 0 };
            let packed = PackedMatrix::pack(spec.layout, 17, 40, &wrong).unwrap().with_scale(verify::SCALE);
            let mismatch = expected.judge(&Gemm::new(&cache, spec).unwrap(), &packed, 2);
            assert_eq!(mismatch.expect("one weight differs").row, 16, "{spec}");
        }
    }
}

#[test]
fn the_largest_sums_are_exact() {
    let n = 3;
    let cache = KernelCache::default();
    for isa in Isa::available(Cpu::host()) {
        for (_, spec) in Packing::ALL.into_iter().flat_map(|packing| verify::specs(isa, packing)) {
            let longest = Tile { ku: Tile::MAX_KU, ..spec.tile };
            let (least, most) = spec.layout.packing.weights().into_inner();
            let weights: Vec<i8> =
                [most, least, 0].into_iter().flat_map(|weight| std::iter::repeat_n(weight, MAX_K)).collect();
            let packed = PackedMatrix::pack(spec.layout, n, MAX_K, &weights).unwrap();
            let cases = [spec.tile, longest].into_iter().flat_map(|tile| [-128i8, 127].map(|a| (tile, a)));
            for (tile, a) in cases {
                let spec = KernelSpec { tile, epilogue: Epilogue::I32, ..spec };
                let mut acts = Activations::with_capacity(2, MAX_K);
                for mut row in acts.rows_mut() {
                    row.set(|values| {
                        values.fill(a);
                        1.0
                    });
                }
                let mut out = [0i32; 6];
                Gemm::new(&cache, spec).unwrap().compute(&packed, &acts, ColumnsMut::new(&mut out, 2, n));
                let sum = |weight: i8| i32::from(weight) * i32::from(a) * MAX_K as i32;
                assert_eq!(out, [most, least, 0, most, least, 0].map(sum), "{spec}");
            }
        }
    }
}

#[test]
fn a_spec_is_refused_or_emitted_never_both() {
    let (mut refused, mut emitted) = (0, 0);
    for spec in all_specs(&[1, 17]) {
        match spec.validate() {
            Ok(()) => {
                let kernel = emit::emit(&spec).unwrap();
                assert!(kernel.is_none_or(|kernel| !kernel.code.is_empty()));
                assert_eq!(spec.to_string().parse(), Ok(spec));
                emitted += 1;
            }
            Err(error) => {
                assert_eq!(emit::emit(&spec).err(), Some(error.clone()));
                assert_eq!(spec.to_string().parse::<KernelSpec>(), Err(error));
                refused += 1;
            }
        }
    }
    println!("{emitted} emitted, {refused} refused");
    assert!(emitted > 100 && refused > 100);
}

#[test]
fn what_the_registers_cannot_hold_is_told() {
    let spec = "avx2/2bit/x1/m15n16u1/shift/p0/f32".parse::<KernelSpec>();
    assert!(
        matches!(spec, Err(SpecError::Registers { needed, available: 16, .. }) if needed > 16),
        "{spec:?}"
    );
}
