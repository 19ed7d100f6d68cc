//! The kernels that can be emitted for a problem.

use tercet_codegen::packing::PANEL_ROWS;
use tercet_codegen::{KernelSpec, Schedule, Tile, Unpack, emit};

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
pub(crate) fn candidates(default: KernelSpec, m: usize) -> Vec<KernelSpec> {
    const TILES: usize = 8;
    const UNROLLS: [usize; 4] = [1, 2, 4, 8];
    let prefetches = if m == 1 { &[0, 2048, 4096, 8192, 16_384][..] } else { &[0, 1024] };
    let unpacks = emit::family(default.isa).unpacks.iter();
    let mut candidates = vec![default];
    for &unpack in unpacks.filter(|unpack| unpack.packing() == default.layout.packing) {
        for (ku, &prefetch) in UNROLLS.into_iter().flat_map(|ku| prefetches.iter().map(move |p| (ku, p))) {
            let schedule = Schedule { unpack, prefetch };
            let smallest = KernelSpec { tile: Tile { mr: 1, nr: PANEL_ROWS, ku }, schedule, ..default };
            let mut tiles: Vec<_> = tiles(smallest, m).collect();
            tiles.sort_by(|a, b| intensity(b).total_cmp(&intensity(a)));
            candidates.extend(tiles.into_iter().take(TILES).filter(|spec| *spec != default));
        }
    }
    candidates[1..].sort_by(|a, b| intensity(b).total_cmp(&intensity(a)));
    candidates
}

/// Dot-product instructions per instruction that unpacks weights or broadcasts activations, for one group.
pub(crate) fn intensity(spec: &KernelSpec) -> f64 {
    let (rows, tokens) = (spec.tile.panels() as f64, spec.tile.mr as f64);
    let unpack = match spec.schedule.unpack {
        Unpack::Planes | Unpack::Turns | Unpack::Direct => 1.0,
        Unpack::Shift | Unpack::Telescope => 2.0,
        Unpack::Extract => 6.0,
    };
    rows * tokens / (rows * unpack + tokens)
}
