//! Runs every family on every CPU model that has its instructions. Other models refuse them.

use super::emulator::{CORTEX_A72, MAX, NEOVERSE_N1, Outcome};
use super::product::{Product, execute, judge};
use crate::emit::{FAMILIES, Family};
use crate::isa::{Architecture, Isa};
use crate::packing::{Layout, Packing};
use crate::spec::{Epilogue, KernelSpec, Prefetch, Schedule, Tile, Unpack};
use crate::verify::{self, AWKWARD_SIZES, Expected};

/// CPU models with their features. The first has all.
const MODELS: [(&str, &[&str]); 3] =
    [(MAX, &["asimd", "asimddp", "i8mm"]), (NEOVERSE_N1, &["asimd", "asimddp"]), (CORTEX_A72, &["asimd"])];

/// Returns the ISAs that a CPU with these features runs, or those that it does not run.
fn isas(features: &[&str], runs: bool) -> Vec<Isa> {
    let families = FAMILIES.iter().filter(|family| family.architecture == Some(Architecture::Aarch64));
    let has_all = |family: &&Family| family.features.iter().all(|name| features.contains(name));
    families.filter(|family| has_all(family) == runs).map(|family| family.isa).collect()
}

const SIGILL: i32 = 4;

const UNCHANGED: &dyn Fn(&mut [u8]) = &|_| {};

#[test]
fn families_equal_the_reference_on_a_thinned_grid() {
    const TOKENS: [usize; 4] = [1, 2, 7, 16];
    let sizes = &AWKWARD_SIZES[..8];
    for packing in Packing::ALL {
        let shapes = sizes.iter().flat_map(|&n| sizes.iter().map(move |&k| (n, k)));
        let expected: Vec<_> =
            shapes.map(|(n, k)| ((n, k), Expected::new(packing, n, k, *TOKENS.last().unwrap()))).collect();
        for (cpu, features) in MODELS {
            for isa in isas(features, true) {
                let mut specs = verify::specs(isa, packing);
                // `Unpack::Once` reads its rows from a buffer that this program does not have.
                specs.retain(|(_, spec)| spec.micro_kernel() == *spec);
                let mut products = Vec::new();
                for ((n, k), expected) in &expected {
                    for (i, &(_, spec)) in specs.iter().enumerate() {
                        // Each spec runs with two numbers of tokens per shape, and with all of them
                        // over all shapes.
                        let tokens = [TOKENS[(n + k + i) % TOKENS.len()], TOKENS[(n + i + 2) % TOKENS.len()]];
                        products.extend(tokens.map(|m| Product { expected, spec, n: *n, m }));
                    }
                }
                let Some(mismatches) = judge(cpu, &products, UNCHANGED) else { return };
                let first = mismatches.iter().flatten().next();
                assert!(first.is_none(), "{cpu}: {}", first.unwrap());
                println!("{cpu}: {isa} {packing}: {} products", products.len());
            }
        }
    }
}

/// Returns every legal spec of `isa`, over all strategies and layouts.
fn all_specs(isa: Isa, unrolls: [usize; 3]) -> Vec<KernelSpec> {
    let mut specs = Vec::new();
    for &unpack in FAMILIES[isa as usize].unpacks {
        for (interleave, mr) in
            Layout::INTERLEAVES.into_iter().flat_map(|i| (1..=Tile::MAX_MR).map(move |mr| (i, mr)))
        {
            for (nr, ku) in (16..=Tile::MAX_NR).step_by(16).flat_map(|nr| unrolls.map(|ku| (nr, ku))) {
                specs.push(KernelSpec {
                    isa,
                    layout: Layout { packing: unpack.packings()[0], interleave },
                    tile: Tile { mr, nr, ku },
                    schedule: Schedule {
                        unpack,
                        prefetch: Prefetch::near(if mr % 3 == 0 { 0 } else { 40_000 * (mr % 2) + 64 }),
                    },
                    epilogue: if mr % 2 == 0 { Epilogue::I32 } else { Epilogue::F32 },
                });
            }
        }
    }
    specs.retain(|spec| spec.validate().is_ok());
    specs
}

#[test]
fn every_legal_tile_equals_the_reference() {
    let (n, k) = (37, 83);
    let expected = Packing::ALL.map(|packing| (packing, Expected::new(packing, n, k, Tile::MAX_MR)));
    for isa in isas(MODELS[0].1, true) {
        let specs = all_specs(isa, [1, 3, 16]);
        assert!(specs.len() > 50);
        let products: Vec<_> = specs
            .iter()
            .map(|&spec| {
                let (_, expected) =
                    expected.iter().find(|(packing, _)| *packing == spec.layout.packing).unwrap();
                Product { expected, spec, n, m: spec.tile.mr }
            })
            .collect();
        let Some(mismatches) = judge(MAX, &products, UNCHANGED) else { return };
        let first = mismatches.iter().flatten().next();
        assert!(first.is_none(), "{}", first.unwrap());
        println!("{isa}: {} tiles", products.len());
    }
}

/// A CPU model stops at instructions that it lacks. So the tests above would notice a wrong choice.
#[test]
fn a_model_without_the_instructions_refuses_them() {
    let lacking = MODELS
        .iter()
        .flat_map(|&(cpu, features)| isas(features, false).into_iter().map(move |isa| (cpu, isa)));
    for (cpu, isa) in lacking {
        let expected = Expected::new(Packing::Bits2, 17, 40, 4);
        for (_, spec) in verify::specs(isa, Packing::Bits2) {
            if isa == Isa::NeonI8mm && spec.schedule.unpack != Unpack::Shift {
                continue;
            }
            let product = Product { expected: &expected, spec, n: 17, m: 4 };
            let Some(outcome) = execute(cpu, &[product], UNCHANGED) else { return };
            assert_eq!(outcome, Outcome::Killed(SIGILL), "{spec} on {cpu}");
        }
    }
}

/// Flips a bit of each instruction that orders the lanes: the lane of `sdot` or `dup`, or the choice
/// between `zip1` and `zip2`.
fn confuse_lanes(isa: Isa, code: &mut [u8]) {
    let (mask, is, flip) = match isa {
        Isa::Neon => (0xFFE0_FC00, 0x4E00_0400, 1 << 19),
        Isa::NeonDot => (0xFFC0_F400, 0x4F80_E000, 1 << 21),
        _ => (0xFFE0_BC00, 0x4E80_3800, 1 << 14),
    };
    let words = code.as_chunks_mut().0.iter_mut();
    let ordering = words.filter(|word| u32::from_le_bytes(**word) & mask == is);
    ordering.for_each(|word| *word = (u32::from_le_bytes(*word) ^ flip).to_le_bytes());
}

#[test]
fn a_wrong_lane_is_noticed() {
    for isa in isas(MODELS[0].1, true) {
        for packing in Packing::TERNARY {
            let expected = Expected::new(packing, 17, 40, 4);
            for (_, spec) in verify::specs(isa, packing) {
                if isa == Isa::NeonI8mm && !matches!(spec.schedule.unpack, Unpack::Shift | Unpack::Extract) {
                    continue;
                }
                let product = Product { expected: &expected, spec, n: 17, m: 4 };
                let Some(mismatches) = judge(MAX, &[product], &|code| confuse_lanes(isa, code)) else {
                    return;
                };
                assert!(mismatches[0].is_some(), "{spec}");
            }
        }
    }
}
