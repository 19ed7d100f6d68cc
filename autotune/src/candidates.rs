//! The kernels that can be emitted for a problem.

use tercet_codegen::packing::PANEL_ROWS;
use tercet_codegen::{Isa, KernelSpec, Packing, Schedule, Tile, Unpack, emit};

use crate::core::Core;
use crate::planner::FEW;

/// `spec` with every legal tile of up to `m` tokens, in a fixed order.
pub fn tiles(spec: KernelSpec, m: usize) -> impl Iterator<Item = KernelSpec> {
    let panels = 1..=spec.layout.interleave;
    let tiles = panels.flat_map(move |p| (1..=m.min(Tile::MAX_MR)).map(move |mr| (mr, p * PANEL_ROWS)));
    tiles
        .map(move |(mr, nr)| KernelSpec { tile: Tile { mr, nr, ..spec.tile }, ..spec })
        .filter(|spec| spec.validate().is_ok())
}

/// `default` and the kernels that may be faster for `m` tokens, the most promising tiles first: every unpacking strategy
/// with several tiles, unrollings and prefetch distances. A hundred or two, always in the same order.
pub(crate) fn candidates(default: KernelSpec, m: usize, core: Core) -> Vec<KernelSpec> {
    const TILES: usize = 8;
    const UNROLLS: [usize; 4] = [1, 2, 4, 8];
    let prefetches: &[usize] = match m {
        0..=1 => &[0, 2048, 4096, 8192, 16_384],
        2..=FEW => &[0, 1024, 4096],
        _ => &[0, 2048],
    };
    let mut candidates = vec![default];
    for unpack in emit::family(default.isa).strategies(default.layout.packing) {
        for (ku, &prefetch) in UNROLLS.into_iter().flat_map(|ku| prefetches.iter().map(move |p| (ku, p))) {
            let schedule = Schedule { unpack, prefetch };
            let smallest = KernelSpec { tile: Tile { mr: 1, nr: PANEL_ROWS, ku }, schedule, ..default };
            let mut tiles: Vec<_> = tiles(smallest, m).collect();
            tiles.sort_by(|a, b| cost(a, m, core).total_cmp(&cost(b, m, core)));
            candidates.extend(tiles.into_iter().take(TILES).filter(|spec| *spec != default));
        }
    }
    candidates[1..].sort_by(|a, b| cost(a, m, core).total_cmp(&cost(b, m, core)));
    candidates
}

/// Vector instructions per dot product of a product with `m` tokens: the dot product's own, and its share of unpacking
/// weights and broadcasting activations as far as the core has no units to spare for them.
pub(crate) fn cost(spec: &KernelSpec, m: usize, core: Core) -> f64 {
    /// What an instruction costs that takes a spare unit: nearly nothing.
    const SPARED: f64 = 1.0 / 64.0;
    const EXTRACT: f64 = 6.0;
    let (rows, tokens) = (spec.tile.panels() as f64, spec.tile.mr as f64);
    let (unpack, once) = match spec.schedule.unpack {
        // A load, which takes no unit for vector arithmetic.
        Unpack::Direct => (0.5, 0.0),
        // The codes are stored and loaded again, and meanwhile nothing is multiplied.
        Unpack::Once if spec.layout.packing == Packing::Trits5 => (0.5, 2.0 * EXTRACT),
        Unpack::Once => (0.5, 6.0),
        Unpack::Planes | Unpack::Turns => (1.0, 0.0),
        Unpack::Shift => (core.shift, 0.0),
        Unpack::Telescope => (2.0, 0.0),
        Unpack::Extract => (EXTRACT, 0.0),
        Unpack::Lookup => (core.look_up, 0.0),
    };
    let dot = match (spec.isa, spec.schedule.unpack) {
        // Pair sums of bytes do not fit 16 bits for long.
        (Isa::Avx2, Unpack::Direct) => 3.0,
        (Isa::Avx2, _) => 2.0,
        _ => 1.0,
    };
    let others = (rows * unpack + tokens) / (rows * tokens);
    dot + (others - core.spare).max(0.0) + others * SPARED + once / m as f64
}
