//! The tiles that can be emitted.

use tercet_codegen::packing::PANEL_ROWS;
use tercet_codegen::{KernelSpec, Tile, Unpack};

/// `spec` with every legal tile of up to `m` tokens, in a fixed order.
pub fn tiles(spec: KernelSpec, m: usize) -> impl Iterator<Item = KernelSpec> {
    let panels = 1..=spec.layout.interleave;
    let tiles = panels.flat_map(move |p| (1..=m.min(Tile::MAX_MR)).map(move |mr| (mr, p * PANEL_ROWS)));
    tiles
        .map(move |(mr, nr)| KernelSpec { tile: Tile { mr, nr, ..spec.tile }, ..spec })
        .filter(|spec| spec.validate().is_ok())
}

/// Dot-product instructions per instruction that unpacks weights or broadcasts activations, for one group.
pub(crate) fn intensity(spec: &KernelSpec) -> f64 {
    let (rows, tokens) = (spec.tile.panels() as f64, spec.tile.mr as f64);
    let unpack = match spec.schedule.unpack {
        Unpack::Planes => 1.0,
        Unpack::Shift | Unpack::Telescope => 2.0,
        Unpack::Extract => 6.0,
    };
    rows * tokens / (rows * unpack + tokens)
}
