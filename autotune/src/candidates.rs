//! Candidate kernels for a problem.

use std::collections::HashSet;

use tercet_codegen::packing::PANEL_ROWS;
use tercet_codegen::{KernelSpec, Packing, Prefetch, Schedule, Tile, Unpack, emit};
use tercet_cpu::Habits;

use crate::planner::{FEW, RING};

/// Returns `spec` with every legal tile of up to `m` tokens, in a fixed order.
pub fn tiles(spec: KernelSpec, m: usize) -> impl Iterator<Item = KernelSpec> {
    let panels = 1..=spec.layout.interleave;
    let tiles = panels.flat_map(move |p| (1..=m.min(Tile::MAX_MR)).map(move |mr| (mr, p * PANEL_ROWS)));
    tiles
        .map(move |(mr, nr)| KernelSpec { tile: Tile { mr, nr, ..spec.tile }, ..spec })
        .filter(|spec| spec.validate().is_ok())
}

/// Lets a ring take as many tokens as fit a tile. A [`Gemm`](tercet_codegen::Gemm) has the kernels for fewer, too.
pub(crate) fn filled(spec: KernelSpec) -> KernelSpec {
    if spec.schedule.unpack == Unpack::Ring { spec.with_tokens(FEW) } else { spec }
}

/// Returns `default` and the kernels that may be faster for `m` tokens, the most promising tiles first.
///
/// These are all unpacking strategies with several tiles, unrollings and prefetch distances: one or two hundred kernels,
/// always in the same order.
pub(crate) fn candidates(default: KernelSpec, m: usize, habits: Habits) -> Vec<KernelSpec> {
    const TILES: usize = 8;
    const UNROLLS: [usize; 4] = [1, 2, 4, 8];
    const NONE: Prefetch = Prefetch::NONE;
    const TWICE: Prefetch = Prefetch::TWICE;
    let near = Prefetch::near;
    let prefetches = match m {
        0..=1 => vec![NONE, near(2048), near(8192), TWICE],
        2..=FEW => vec![NONE, near(4096), TWICE],
        _ => vec![NONE, near(2048)],
    };
    let mut candidates = vec![default];
    let strategies = emit::family(default.isa).strategies(default.layout.packing);
    for unpack in strategies.filter(|unpack| *unpack != Unpack::Ring || RING.contains(&m)) {
        for (ku, &prefetch) in UNROLLS.into_iter().flat_map(|ku| prefetches.iter().map(move |p| (ku, p))) {
            let schedule = Schedule { unpack, prefetch };
            let smallest = KernelSpec { tile: Tile { mr: 1, nr: PANEL_ROWS, ku }, schedule, ..default };
            let mut tiles: Vec<_> = tiles(smallest, m).map(filled).collect();
            tiles.dedup();
            tiles.sort_by(|a, b| cost(a, m, habits).total_cmp(&cost(b, m, habits)));
            candidates.extend(tiles.into_iter().take(TILES).filter(|spec| *spec != default));
        }
    }
    // Some strategies ignore unrolling and prefetch distance.
    let mut seen = HashSet::new();
    candidates.retain(|spec| seen.insert(spec.micro_kernel()));
    candidates[1..].sort_by(|a, b| cost(a, m, habits).total_cmp(&cost(b, m, habits)));
    candidates
}

/// Estimates the vector instructions per dot product, for `m` tokens.
///
/// They are the dot product's own, and its share of unpacking weights and broadcasting activations. Instructions that
/// the core has spare units for are nearly free. A few tokens that do not fit one tile are split evenly among several.
pub(crate) fn cost(spec: &KernelSpec, m: usize, habits: Habits) -> f64 {
    /// The cost of an instruction on a spare unit.
    const SPARED: f64 = 1.0 / 64.0;
    const EXTRACT: f64 = 6.0;
    /// Two instructions for each code, and a store.
    const SPREAD: f64 = 3.0;
    /// The cost of another tile for the same weights, while nothing streams from memory.
    const AGAIN: f64 = 0.2;
    // Telescoping multiplies each code twice.
    let products = match (spec.schedule.unpack, spec.layout.packing) {
        (Unpack::Telescope, _) | (Unpack::Ring, Packing::Trits5) => 2.0,
        _ => 1.0,
    };
    let dot = products * (emit::family(spec.isa).dot_cost)(spec.schedule.unpack);
    // The codes are stored and loaded again. Meanwhile nothing is multiplied.
    let once = if spec.layout.packing == Packing::Trits5 { 2.0 * EXTRACT } else { 6.0 };
    let (rows, tiles) = (spec.tile.panels() as f64, m.div_ceil(spec.tile.mr) as f64);
    let (tokens, again) = match m {
        0..=FEW => (m as f64 / tiles, AGAIN * (tiles - 1.0)),
        _ => (spec.tile.mr as f64, 0.0),
    };
    let (unpack, once) = match spec.schedule.unpack {
        // A load takes no unit for vector arithmetic.
        Unpack::Direct => (0.5, 0.0),
        Unpack::Once => (0.5, once),
        // A load of a tile takes half the time of a product.
        Unpack::Tiles | Unpack::Ring => {
            let loads = 1.0 / rows.min(2.0) + 16.0 / tokens;
            let spread =
                if spec.schedule.unpack == Unpack::Ring { SPREAD / tokens + again } else { once / m as f64 };
            return (1.0 + 0.5 * loads) * dot + spread;
        }
        Unpack::Planes | Unpack::Turns => (1.0, 0.0),
        Unpack::Shift => (habits.shift, 0.0),
        Unpack::Telescope => (2.0, 0.0),
        Unpack::Extract => (EXTRACT, 0.0),
        Unpack::Lookup => (habits.look_up, 0.0),
    };
    let others = (rows * unpack + tokens) / (rows * tokens);
    let unspared = (others - habits.spare * products).max(0.0);
    dot + unspared + others * SPARED + once / m as f64 + again
}
