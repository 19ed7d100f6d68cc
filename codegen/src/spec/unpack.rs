//! The table of unpacking strategies.
//!
//! A strategy is one row here. Its families list it in [`Family::unpacks`](crate::Family::unpacks) and emit it.

use super::error::syntax;
use super::{SpecError, Tile};
use crate::packing::Packing;
use crate::table::table;

table! {
    /// How packed bytes become operands of the dot product.
    pub enum Unpack: Row
    where
        table = STRATEGIES,
        error = SpecError: |name: &str| syntax("unpack strategy", name, "planes"),
    {
        /// 2-bit: mask each plane in place and give it an accumulator of its own, shifted down once after the loop.
        Planes => Row { accumulators: 4, ..Row::new("planes", &[Packing::Bits2]) },
        /// 2-bit and 4-bit: shift each plane down and mask it, for one accumulator.
        Shift => Row::new("shift", &[Packing::Bits2, Packing::Bits4]),
        /// 2-bit: mask one plane in place in each of four passes over k, the highest first, and shift the sums down
        /// between them. It takes one accumulator and one instruction, but reads the weights four times, from cache.
        Turns => Row { passes: 4, ..Row::new("turns", &[Packing::Bits2]) },
        /// 1.6-bit: no extraction. The difference of two accumulators of the running bytes telescopes to the sum.
        Telescope => Row { accumulators: 2, ..Row::new("telescope", &[Packing::Trits5]) },
        /// 1.6-bit: extract each trit by comparing the running byte with 86 and 171.
        Extract => Row::new("extract", &[Packing::Trits5]),
        /// 1.6-bit: look the byte up in two tables. One has its first four codes in two bits each, one its fifth.
        Lookup => Row::new("lookup", &[Packing::Trits5]),
        /// Bytes: they are the codes.
        Direct => Row::new("direct", &[Packing::Bytes]),
        /// Ternary, for many tokens: unpack a tile's rows into bytes, in memory that stays in cache, and multiply all
        /// tokens with these. The micro-kernel is that of [`Unpack::Direct`], but may gather more products of such
        /// small codes.
        Once => Row { unpacked_multiple: Some(1), ..Row::new("once", &Packing::TERNARY) },
        /// Ternary, for many tokens: unpack as [`Unpack::Once`] does, and multiply tiles of AMX with these bytes.
        Tiles => Row {
            most_tokens: Tile::MAX_MR,
            unpacked_multiple: Some(TILE_STEPS),
            ..Row::new("tiles", &Packing::TERNARY)
        },
        /// For few tokens: spread packed bytes into tiles of AMX, in a ring that stays in cache, while the tiles before
        /// are multiplied.
        Ring => Row {
            most_tokens: TILE_STEPS,
            reads_tiles: true,
            ..Row::new("ring", &[Packing::Trits5, Packing::Bits2, Packing::Bits4])
        },
    }
}

/// The row of one strategy.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    packings: &'static [Packing],
    accumulators: usize,
    passes: usize,
    most_tokens: usize,
    unpacked_multiple: Option<usize>,
    reads_tiles: bool,
}

/// The most tokens that the address registers of kernels for vectors can follow.
const FOLLOWED_TOKENS: usize = 15;

/// Steps of unpacked bytes in a tile of AMX.
pub(crate) const TILE_STEPS: usize = 16;

impl Row {
    /// A strategy with one accumulator and one pass.
    const fn new(name: &'static str, packings: &'static [Packing]) -> Row {
        Row {
            name,
            packings,
            accumulators: 1,
            passes: 1,
            most_tokens: FOLLOWED_TOKENS,
            unpacked_multiple: None,
            reads_tiles: false,
        }
    }
}

impl Unpack {
    /// Returns the packings that the strategy reads.
    pub const fn packings(self) -> &'static [Packing] {
        self.row().packings
    }

    /// Returns the accumulators per vector of rows and token.
    pub const fn accumulators(self) -> usize {
        self.row().accumulators
    }

    /// Returns the most tokens of a tile.
    pub const fn most_tokens(self) -> usize {
        self.row().most_tokens
    }

    /// Returns the number that divides the steps of unpacked rows, if the kernel reads such rows.
    pub(crate) const fn unpacked_multiple(self) -> Option<usize> {
        self.row().unpacked_multiple
    }

    /// Returns true if the kernel multiplies tiles of AMX, whose speed depends on other tenants of the core.
    pub const fn multiplies_tiles(self) -> bool {
        matches!(self, Unpack::Tiles | Unpack::Ring)
    }

    /// Returns true if the kernel reads activations in the order of tiles.
    pub(crate) const fn reads_tiles(self) -> bool {
        self.row().reads_tiles
    }

    /// Returns the passes over k. Each takes its share of a step's groups.
    pub const fn passes(self) -> usize {
        self.row().passes
    }
}
