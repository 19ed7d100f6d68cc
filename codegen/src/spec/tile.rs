//! Tiles: the register blocks of micro-kernels.

use std::fmt;
use std::str::FromStr;

use super::SpecError;
use crate::packing::PANEL_ROWS;

/// The register block: m tokens × n weight rows, and the steps of k in one turn of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Tokens, 1 to [`Tile::MAX_MR`].
    pub mr: usize,
    /// Weight rows, a multiple of [`PANEL_ROWS`] that divides the layout's row block.
    pub nr: usize,
    /// Steps in one turn of the k loop, 1 to [`Tile::MAX_KU`].
    pub ku: usize,
}

impl Tile {
    /// The most tokens, of any strategy.
    pub const MAX_MR: usize = 48;
    /// The most rows: those of the widest row block.
    pub const MAX_NR: usize = 8 * PANEL_ROWS;
    /// The longest unrolling.
    pub const MAX_KU: usize = 16;

    /// Returns the panels of weight rows.
    pub const fn panels(self) -> usize {
        self.nr / PANEL_ROWS
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}n{}u{}", self.mr, self.nr, self.ku)
    }
}

impl FromStr for Tile {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let bad = || SpecError::Syntax { part: "tile", text: text.to_owned(), expected: "m1n64u2" };
        let (mr, rest) = text.strip_prefix('m').and_then(|t| t.split_once('n')).ok_or_else(bad)?;
        let (nr, ku) = rest.split_once('u').unwrap_or((rest, "1"));
        let number = |t: &str| t.parse().map_err(|_| bad());
        Ok(Tile { mr: number(mr)?, nr: number(nr)?, ku: number(ku)? })
    }
}
