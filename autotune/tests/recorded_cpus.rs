//! Plans by rule on recorded CPUs. CPUID is decoded on x86-64 only.

#![cfg(target_arch = "x86_64")]

mod common;

use common::problem;
use tercet_autotune::{Planner, Problem, packing_by_rule};
use tercet_codegen::{Isa, KernelSpec, Packing, Prefetch, Unpack};
use tercet_cpu::Cpu;

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

/// Zen 3 and Zen 4 are one family. Only AVX-512 tells them apart.
#[test]
fn a_zen_3_has_its_stream_prefetched() {
    let zen4 = recorded("zen4");
    let mut zen3 = zen4.clone();
    zen3.features.retain(|feature| !feature.starts_with("avx512"));
    let [zen3, zen4] = [zen3, zen4].map(|cpu| {
        let planner = Planner::new(Isa::Avx2, Packing::Bits2).on(&cpu);
        planner.plan(&Problem { m: 1, ..problem(2560) }).spec.schedule
    });
    assert_eq!((zen3.prefetch, zen4.prefetch), (Prefetch::near(8192), Prefetch::NONE));
    assert_eq!(zen3.unpack, zen4.unpack);
}

/// Half-precision arithmetic tells servers since Sapphire Rapids from an Ice Lake client, which is unknown.
#[test]
fn a_golden_cove_prefetches_into_both_caches_also_for_a_few_tokens() {
    let ice_lake = recorded("ice-lake");
    let mut golden_cove = ice_lake.clone();
    golden_cove.features.push("avx512_fp16");
    for (m, unknown) in [(1, 4096), (2, 4096), (8, 0)] {
        let [before, after] = [&ice_lake, &golden_cove].map(|cpu| {
            let planner = Planner::new(Isa::Avx512Vnni, Packing::Trits5).on(cpu);
            planner.plan(&Problem { m, ..problem(2560) }).spec
        });
        let expected = (Prefetch::near(unknown), Prefetch::TWICE);
        assert_eq!((before.schedule.prefetch, after.schedule.prefetch), expected, "{m} tokens");
        assert_eq!((before.schedule.unpack, before.tile), (after.schedule.unpack, after.tile));
    }
}

/// Every family plans on every core, also a family of another architecture or the portable one.
#[test]
fn every_family_has_a_plan_on_a_core_that_prefetches_far() {
    let mut golden_cove = recorded("ice-lake");
    golden_cove.features.push("avx512_fp16");
    for (isa, packing) in Isa::ALL.into_iter().flat_map(|isa| Packing::TERNARY.map(|packing| (isa, packing)))
    {
        let planner = Planner::new(isa, packing).on(&golden_cove);
        for m in [1, 2, 8, 128] {
            assert!(planner.plan(&Problem { m, ..problem(2560) }).spec.validate().is_ok(), "{isa} {packing}");
        }
    }
}

/// Habits next to dot products of bytes do not hold for pair sums.
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

/// Tiles are for all but one or two tokens. A race compares them with vectors, so tuning ends with the faster of both.
#[test]
fn amx_multiplies_tiles_and_races_them_against_vectors() {
    let mut cpu = recorded("ice-lake");
    cpu.features.extend(["avx512_fp16", "amx_tile", "amx_int8"]);
    for packing in Packing::TERNARY {
        let planner = |isa| Planner::new(isa, packing).on(&cpu);
        for m in 1..=128 {
            let problem = Problem { m, ..problem(2560) };
            let [vectors, tiles] =
                [Isa::Avx512Vbmi, Isa::AmxInt8].map(|isa| planner(isa).plan(&problem).spec);
            match m {
                1..=2 => assert_eq!(KernelSpec { isa: Isa::Avx512Vbmi, ..tiles }, vectors, "{m} tokens"),
                3..=16 => assert_eq!(
                    (tiles.schedule.unpack, tiles.tile.mr, tiles.tile.nr),
                    (Unpack::Ring, 16, tiles.layout.block_rows()),
                    "{tiles}"
                ),
                _ => {
                    assert_eq!((tiles.schedule.unpack, tiles.tile.mr), (Unpack::Tiles, m.min(48)), "{tiles}")
                }
            }
        }
        let candidates = planner(Isa::AmxInt8).candidates(&Problem { m: 128, ..problem(2560) });
        let count = |unpack| candidates.iter().filter(|spec| spec.schedule.unpack == unpack).count();
        assert!(count(Unpack::Tiles) > 1 && count(Unpack::Once) > 1);
        for m in [1, 2, 8, 128] {
            let problem = Problem { m, ..problem(2560) };
            let plan = |isa| planner(isa).plan(&problem).spec;
            let rival = |isa: Isa| planner(isa).rival(&problem, &plan(isa));
            let vectors = KernelSpec { isa: Isa::AmxInt8, ..plan(Isa::Avx512Vbmi) };
            assert_eq!(rival(Isa::AmxInt8), (m > 2).then_some(vectors));
            assert_eq!(planner(Isa::AmxInt8).rival(&problem, &vectors), (m > 2).then(|| plan(Isa::AmxInt8)));
            assert_eq!(rival(Isa::Avx512Vbmi), None);
        }
        let few = planner(Isa::AmxInt8).candidates(&Problem { m: 8, ..problem(2560) });
        assert!(few.iter().any(|spec| spec.schedule.unpack == Unpack::Ring));
    }
}

/// On other cores VBMI changes nothing in a plan but the name of the ISA.
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
