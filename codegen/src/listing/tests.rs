use tercet_cpu::DotProduct;

use super::*;
use crate::emit::FAMILIES;
use crate::spec::Unpack;

fn listing(spec: &str) -> Listing {
    Listing::new(&spec.parse().unwrap()).unwrap()
}

fn bound<'a>(code: &'a MachineCode, core: &str) -> &'a Bound {
    code.bounds.iter().find(|bound| bound.core == core).unwrap()
}

/// A turn is two steps of four panels. A step and panel take a load, four ANDs and four dot products.
/// A step takes four broadcasts.
#[test]
fn a_gemv_kernel_is_counted_and_bounded_as_by_hand() {
    let listing = listing("avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32");
    assert_eq!(listing.multiply_adds_per_turn, 64 * 2 * 16);
    assert_eq!(listing.weight_bytes_per_turn, 64 * 2 * 16 / 4);
    let code = listing.machine_code.unwrap();
    let expected =
        Mix { dots: 32, vector: 32, loads: 16, stores: 0, prefetches: 8, scalar: 4, memory_operands: 0 };
    assert_eq!(code.loop_mix, expected);
    assert_eq!(code.mix.stores, 4);

    let zen5 = bound(&code, "Zen 5 server");
    assert_eq!(zen5.cycles_per_turn, 16.0);
    assert!((zen5.percent_of_peak - 100.0).abs() < 1e-9);
    let zen4 = bound(&code, "Zen 4");
    assert_eq!((zen4.limit, zen4.cycles_per_turn), (Limit::Dots, 32.0));
    let sapphire_rapids = bound(&code, "Sapphire Rapids");
    assert_eq!((sapphire_rapids.limit, sapphire_rapids.cycles_per_turn), (Limit::VectorOps, 32.0));
    assert!(!code.bounds.iter().any(|b| b.core == "Haswell" || b.core == "Alder Lake P"));
}

/// Each of four vectors and four planes takes an AND or a shift, and a dot product. One load reads the
/// activations of a step.
#[test]
fn an_sdot_kernel_is_counted_and_bounded_as_by_hand() {
    let listing = listing("neon-dot/2bit/x1/m1n16u2/planes/p4096/f32");
    assert_eq!((listing.multiply_adds_per_turn, listing.weight_bytes_per_turn), (16 * 2 * 16, 128));
    let code = listing.machine_code.unwrap();
    let expected =
        Mix { dots: 32, vector: 32, loads: 6, stores: 0, prefetches: 2, scalar: 2, memory_operands: 0 };
    assert_eq!(code.loop_mix, expected);
    let n1 = bound(&code, "Neoverse N1");
    assert_eq!((n1.limit, n1.cycles_per_turn), (Limit::VectorOps, 32.0));
    assert!((n1.percent_of_peak - 50.0).abs() < 1e-9);
    assert!(!code.bounds.iter().any(|b| b.core == "Cortex-A72" || b.core == "Zen 4"));
}

/// With two passes of eight rows, a turn computes half of the tile.
#[test]
fn a_matrix_product_kernel_is_counted_as_by_hand() {
    let listing = listing("neon-i8mm/2bit/x1/m8n16u1/shift/p0/f32");
    assert_eq!((listing.multiply_adds_per_turn, listing.weight_bytes_per_turn), (8 * 8 * 16, 32));
    let code = listing.machine_code.unwrap();
    // Each of two vectors takes nine instructions to unpack, and sixteen products. Each of eight
    // tokens takes one instruction to pair.
    let expected = Mix {
        dots: 2 * 16,
        vector: 2 * 9 + 8,
        loads: 1 + 8,
        stores: 0,
        prefetches: 0,
        scalar: 3,
        memory_operands: 0,
    };
    assert_eq!(code.loop_mix, expected);
    assert_eq!(code.loop_mix.dots * 32, listing.multiply_adds_per_turn);
}

/// Six products of tiles take three tiles of tokens, and two of codes that alternate.
#[test]
fn a_kernel_with_tiles_is_counted_and_bounded_as_by_hand() {
    let listing = listing("amx-int8/1.6bit/x4/m48n64u1/tiles/p0/f32");
    assert_eq!((listing.multiply_adds_per_turn, listing.weight_bytes_per_turn), (48 * 32 * 64, 32 * 64));
    let code = listing.machine_code.unwrap();
    let expected =
        Mix { dots: 6, vector: 0, loads: 3 + 4, stores: 0, prefetches: 0, scalar: 6, memory_operands: 0 };
    assert_eq!(code.loop_mix, expected);
    let sapphire_rapids = bound(&code, "Sapphire Rapids");
    assert_eq!((sapphire_rapids.limit, sapphire_rapids.cycles_per_turn), (Limit::Dots, 6.0 * 16.0));
    assert!((sapphire_rapids.percent_of_peak - 100.0).abs() < 1e-9);
}

/// With one panel and one accumulator, sixteen dot products wait for each other.
#[test]
fn a_single_accumulator_is_limited_by_latency() {
    let code = listing("avx512-vnni/2bit/x1/m1n16u4/shift/p0/i32").machine_code.unwrap();
    let bound = bound(&code, "Zen 5 server");
    assert_eq!((bound.limit, bound.cycles_per_turn), (Limit::Latency, 64.0));
    assert_eq!(bound.multiply_adds_per_cycle, 1024.0 / 64.0);
}

#[test]
fn listings_are_consistent_in_every_family() {
    for family in FAMILIES.iter().filter(|family| family.frame.emit.is_some()) {
        for unpack in family.unpacks.iter().filter(|unpack| !unpack.multiplies_tiles()) {
            let packing = unpack.packings()[0];
            let text = format!("{}/{packing}/x1/m1n16u3/{unpack}/p4096/f32", family.isa);
            let listing = listing(&text);
            let code = listing.machine_code.as_ref().unwrap();
            assert_eq!(code.lines.iter().flat_map(|line| line.bytes.clone()).collect::<Vec<_>>(), code.bytes);
            assert_eq!(code.mix.instructions(), code.lines.len());
            assert_eq!(code.loop_mix.instructions(), code.lines.iter().filter(|line| line.in_loop).count());
            let dots = if *unpack == Unpack::Telescope { 2 } else { 1 };
            let per_dot = match family.dot.unwrap() {
                // One token alone takes `sdot`.
                DotProduct::Usmmla => 16,
                dot => dot.multiply_adds(),
            };
            assert_eq!(code.loop_mix.dots * per_dot, dots * listing.multiply_adds_per_turn, "{text}");
            assert!(code.bounds.iter().all(|bound| bound.percent_of_peak <= 100.0 + 1e-9), "{text}");

            let shown = listing.to_string();
            let is_jump = |text: &&str| text.starts_with('j') || text.starts_with("b.");
            let jumps: Vec<&str> = code.lines.iter().map(|line| line.text.as_str()).filter(is_jump).collect();
            // A loop over k has four jumps, and one more goes to the next tile.
            assert_eq!(jumps.len(), 4 * unpack.passes() + 1, "{shown}");
            for jump in jumps {
                let target = jump.split_whitespace().last().unwrap();
                assert!(shown.contains(&format!("\n{target}:\n")), "{shown}");
            }
            for part in [text.as_str(), "  ; loop: 3 step(s)", "┌", "└", "static bound: an estimate"] {
                assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
            }
        }
    }
}

#[test]
fn the_portable_family_has_no_machine_code() {
    let listing = listing("portable/2bit/x1/m1n16u1/shift/p0/i32");
    assert!(listing.machine_code.is_none());
    assert!(listing.to_string().contains("none: portable kernels are compiled Rust"));
}
